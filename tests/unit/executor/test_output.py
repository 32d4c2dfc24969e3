"""What is printed, on its way into the log."""

import errno
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import Conflict
from headrace.eventfile import EventFile
from headrace.executor._output import LogFailed, Output
from headrace.loglines import of_build


class Full(EventFile):
    """An event file on a full disk."""

    def append(self, *_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "no space left")


def output(file: EventFile, log_bytes: int = 1000) -> Output:
    return Output(file, of_build("build_1", "build"), log_bytes=log_bytes)


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_lines_of_both_streams_are_kept_in_the_order_they_came(tmp_path: Path) -> None:
    made = output(EventFile(tmp_path / "log"))
    made.feed("stdout", b"a\nb")
    made.feed("stderr", b"x\n")
    made.feed("stdout", b"c\n")
    made.close()
    assert [(event["stream"], event["line"]) for event in events(tmp_path / "log")] == [
        ("stdout", "a"),
        ("stderr", "x"),
        ("stdout", "bc"),
    ]
    assert made.receipt() == {
        "lines": 3,
        "bytes": 7,
        "sha256": hashlib.sha256(b"a\nx\nbc\n").hexdigest(),
        "truncated_bytes": 0,
    }


@pytest.mark.parametrize("sizes", [[10], [4, 4, 4], [1] * 13, [100]])
def test_the_cap_is_exact_wherever_the_chunks_end(tmp_path: Path, sizes: list[int]) -> None:
    made = output(EventFile(tmp_path / "log"), log_bytes=6)
    for size in sizes:
        made.feed("stdout", b"x" * size)
    made.close()
    line, truncated = events(tmp_path / "log")
    assert line["line"] == "xxxxxx"
    assert (truncated["type"], truncated["bytes"]) == ("log.truncated", sum(sizes) - 6)
    assert made.receipt()["truncated_bytes"] == sum(sizes) - 6


def test_a_line_that_waits_for_its_newline_is_shown_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = output(EventFile(tmp_path / "log"))
    made.feed("stdout", b"Password: ")
    made.show_waiting()
    assert not (tmp_path / "log").exists()
    later = time.monotonic() + 2
    monkeypatch.setattr(time, "monotonic", lambda: later)
    made.show_waiting()
    made.show_waiting()
    (line,) = events(tmp_path / "log")
    assert (line["line"], line["eol"]) == ("Password: ", False)


def test_a_full_disk_is_told_once_and_the_rest_is_counted(tmp_path: Path) -> None:
    made = output(Full(tmp_path / "log"))
    with pytest.raises(LogFailed) as failed:
        made.feed("stdout", b"one\n")
    assert failed.value.full
    made.feed("stdout", b"more\n")
    made.close()
    assert made.receipt()["truncated_bytes"] == 5


def test_a_log_that_somebody_has_ended_is_no_full_disk(tmp_path: Path) -> None:
    file = EventFile(tmp_path / "log")
    file.append([b'"type":"build.completed"}'], close=True)
    with pytest.raises(LogFailed) as failed:
        output(file).feed("stdout", b"late\n")
    assert not failed.value.full
    assert isinstance(failed.value.__cause__, Conflict)
