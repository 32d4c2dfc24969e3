"""What only logs in files promise: other processes, compression, and little work for many followers."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from backports.zstd import decompress
from tests.waiting import until

from headrace.errors import Conflict, NotFound
from headrace.eventfile import EventFile, number_of, retired_path, state_path
from headrace.events._retired import open_retired
from headrace.events.file import FileEventLog
from headrace.model.event import BuildQueued, Log
from headrace.model.plan import StepId

BUILD = "build_01m7xxxxxxxxxxxxxxxxxxxxxx"
LINE = (
    b'"ts":"2026-11-20T21:00:00.123Z","type":"build.log","build_id":"b","step":"build","stream":"stdout","line":"%d"}'
)


@pytest.fixture
def events(tmp_path: Path) -> FileEventLog:
    return FileEventLog(tmp_path / "logs")


async def followed(events: FileEventLog, after: int = 0) -> list[int]:
    data = b"".join([piece async for piece in events.read_bytes(BUILD, after=after, follow=True)])
    return [number_of(line) for line in data.split(b"\n")[:-1]]


async def test_a_follower_sees_soon_what_another_process_appends(events: FileEventLog) -> None:
    pieces = events.read_bytes(BUILD, follow=True)
    waiting = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0.02)
    other = EventFile(events.path(BUILD))
    await asyncio.to_thread(other.append, [LINE % 1])
    began = time.monotonic()
    assert orjson.loads(await waiting)["line"] == "1"
    assert time.monotonic() - began < 10
    await asyncio.to_thread(other.append, [LINE % 2], close=True)
    assert [orjson.loads(piece)["line"] async for piece in pieces] == ["2"]


async def test_followers_get_each_line_once_while_processes_write_and_die(events: FileEventLog) -> None:
    path = events.path(BUILD)
    following = [asyncio.create_task(followed(events)) for _ in range(4)]
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from headrace.eventfile import EventFile; file = EventFile(Path(sys.argv[2]))\n"
        "import time\n"
        'while True: time.sleep(0.001), file.append([b\'"type":"build.log","fill":"%s"}\' % (b\'x\' * 100)] * 500)'
    )
    source = str(Path(__file__).parents[3] / "src")
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-I", "-S", "-c", script, source, str(path)])  # noqa: ASYNC220
        await asyncio.sleep(0.12)
        writer.kill()
        await asyncio.to_thread(writer.wait)
    last = (await events.append(BUILD, [BuildQueued(build_id=BUILD)], close=True))[0].seq
    for numbers in await asyncio.wait_for(asyncio.gather(*following), 60):
        assert numbers == list(range(1, last + 1))


async def test_a_follower_is_not_left_waiting_by_a_writer_that_died_before_its_end_was_noted(
    events: FileEventLog,
) -> None:
    file = EventFile(events.path(BUILD))
    file.append([LINE % 1])
    before = state_path(file.path).read_bytes()
    following = asyncio.create_task(followed(events))
    await asyncio.sleep(0.05)
    with file.path.open("ab") as dying:
        dying.write(b'{"seq":2,%s \n' % LINE)
    assert state_path(file.path).read_bytes() == before
    assert await asyncio.wait_for(following, 30) == [1, 2]


async def test_followers_share_one_poller_and_leave_nothing_behind(events: FileEventLog) -> None:
    before, descriptors = asyncio.all_tasks(), len(os.listdir("/proc/self/fd"))
    following = [asyncio.create_task(followed(events)) for _ in range(50)]
    await until(lambda: len(asyncio.all_tasks() - before) == 51)
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    assert asyncio.all_tasks() == before
    assert len(os.listdir("/proc/self/fd")) == descriptors


async def test_a_retired_log_is_small_and_readable_without_headrace(events: FileEventLog) -> None:
    path = events.path(BUILD)
    EventFile(path).append([LINE % n for n in range(50_000)], close=True)
    plain = path.read_bytes()
    await events.retire(BUILD)
    assert not path.exists()
    assert not state_path(path).exists()
    packed = retired_path(path).read_bytes()
    assert len(packed) < len(plain) / 8
    index = open_retired(path)
    assert index is not None
    assert len(index.frames) > 5
    assert decompress(packed[: sum(frame.length for frame in index.frames)]) == plain


async def test_reading_the_end_of_a_retired_log_decompresses_one_frame(events: FileEventLog) -> None:
    EventFile(events.path(BUILD)).append([LINE % n for n in range(50_000)], close=True)
    await events.retire(BUILD)
    index = open_retired(events.path(BUILD))
    assert index is not None
    assert index.frames_after(49_990) == index.frames[-1:]
    assert [event.seq for event in await events.read(BUILD, after=49_998)] == [49_999, 50_000]


async def test_retiring_goes_on_where_a_crash_left_it(events: FileEventLog) -> None:
    path = events.path(BUILD)
    EventFile(path).append([LINE % n for n in range(100)], close=True)
    plain, state = path.read_bytes(), state_path(path).read_bytes()
    await events.retire(BUILD)
    path.write_bytes(plain)  # as if it had ended before the plain form was removed
    state_path(path).write_bytes(state)
    await events.retire(BUILD)
    assert not path.exists()
    assert await events.last(BUILD) == 100


async def test_an_append_to_a_retired_log_leaves_no_empty_file_behind(events: FileEventLog) -> None:
    await events.append(BUILD, [BuildQueued(build_id=BUILD)], close=True)
    await events.retire(BUILD)
    with pytest.raises(Conflict):
        await events.append(BUILD, [BuildQueued(build_id=BUILD)])
    assert not events.path(BUILD).exists()
    assert await events.last(BUILD) == 1


@pytest.mark.parametrize("name", ["../secret", "a/b", "", ".hidden", "x" * 500, "a\0b"])
async def test_a_name_cannot_leave_the_directory(events: FileEventLog, name: str) -> None:
    with pytest.raises(NotFound):
        events.path(name)
    with pytest.raises(NotFound):
        await events.read(name)


async def test_types_of_a_newer_headrace_are_left_out_of_typed_reading(events: FileEventLog) -> None:
    EventFile(events.path(BUILD)).append([b'"ts":"","type":"build.dreamt","build_id":"b"}', LINE % 7])
    (event,) = await events.read(BUILD)
    assert isinstance(event, Log)
    assert (event.seq, event.step) == (2, StepId.BUILD)
