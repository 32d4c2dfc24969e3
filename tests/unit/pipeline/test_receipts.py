"""What the log of a build says of output that is not in it."""

import errno
from collections.abc import Sequence

import pytest
from tests.unit.pipeline.conftest import Shop

from headrace.eventfile import EventFile
from headrace.executor.fake import Act


class _Full(EventFile):
    """On a disk that takes nothing of a command; what is said of the build goes elsewhere."""

    def append(self, records: Sequence[bytes], *, close: bool = False, durable: bool = False) -> int:
        raise OSError(errno.ENOSPC, f"no room for {len(records)} records", str(self.path), (close, durable))


async def test_what_a_command_could_not_write_to_the_end_is_said_by_the_worker(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.executor.fake.EventFile", _Full)
    shop.building = lambda *_: Act(stdout=b"never a newline", writes={"dist/index.html": b"<title>x</title>"})
    build = await shop.build()
    (told,) = await shop.events(build, "log.truncated")
    (*_, ended) = await shop.events(build, "build.command.completed")
    assert told.model_dump()["bytes"] == ended.model_dump()["truncated_bytes"] == len(b"never a newline")
    assert told.seq == ended.seq - 1
