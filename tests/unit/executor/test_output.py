"""What is printed, on its way into the log."""

import errno
import hashlib
import itertools
import json
import random
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import Conflict
from headrace.eventfile import EventFile
from headrace.executor._output import LogFailed, Output
from headrace.loglines import of_build, raw_bytes
from headrace.logreader import log_lines
from headrace.logreader import printed as recounted
from headrace.model.build import EMPTY_SHA256


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
        "unsaid_bytes": 0,
    }


def printed(path: Path) -> bytes:
    return b"".join(raw_bytes(event) for event in events(path) if event["type"] == "build.log")


@pytest.mark.parametrize("sizes", [[10], [4, 4, 4], [1] * 13, [100]])
def test_the_cap_is_exact_wherever_the_chunks_end(tmp_path: Path, sizes: list[int]) -> None:
    made = output(EventFile(tmp_path / "log"), log_bytes=6)
    text = bytes(ord("a") + at % 26 for at in range(sum(sizes)))
    for end, size in zip(itertools.accumulate(sizes), sizes, strict=True):
        made.feed("stdout", text[end - size : end])
    made.close()
    first, _, truncated, last = events(tmp_path / "log")
    assert (first["line"], last["line"]) == (text[:3].decode(), text[-3:].decode())
    assert (truncated["type"], truncated["bytes"]) == ("log.truncated", sum(sizes) - 6)
    assert made.receipt() == {
        "lines": 1,
        "bytes": 6,
        "sha256": hashlib.sha256(text[:3] + text[-3:]).hexdigest(),
        "truncated_bytes": sum(sizes) - 6,
        "unsaid_bytes": 0,
    }


@pytest.mark.parametrize("size", [1, 500, 501, 999, 1000])
def test_what_fits_under_the_cap_is_kept_whole(tmp_path: Path, size: int) -> None:
    made = output(EventFile(tmp_path / "log"), log_bytes=1000)
    text = (b"0123456789\n" * 100)[:size]
    for at in range(0, size, 7):
        made.feed("stdout", text[at : at + 7])
    made.close()
    assert printed(tmp_path / "log") == text
    assert made.receipt()["truncated_bytes"] == 0
    assert not [event for event in events(tmp_path / "log") if event["type"] == "log.truncated"]


def test_the_end_begins_with_whole_lines_of_each_stream_in_their_order(tmp_path: Path) -> None:
    made = output(EventFile(tmp_path / "log"), log_bytes=400)
    for number in range(100):
        made.feed("stdout", b"out %03d\n" % number)
        made.feed("stderr", b"err %03d\n" % number)
    made.feed("stdout", b"no end")
    made.close()
    lines = [event["line"] for event in events(tmp_path / "log") if event["type"] == "build.log"]
    said = [line for number in range(100) for line in (f"out {number:03}", f"err {number:03}")]
    # 25 lines fit into each half; the beginning ends and the end begins with a line here.
    assert lines == [*said[:25], *said[-24:], "no end"]
    truncated = next(event for event in events(tmp_path / "log") if event["type"] == "log.truncated")
    assert truncated["bytes"] == 200 * 8 + 6 - len(printed(tmp_path / "log")) == made.receipt()["truncated_bytes"]


@pytest.mark.parametrize("seed", range(20))
def test_the_receipt_is_that_of_the_log_whatever_is_printed(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same cases in every run
    made = output(EventFile(tmp_path / "log"), log_bytes=chance.choice([64, 1000, 5000]))
    total = 0
    for _ in range(chance.randrange(200)):
        chunk = bytes(chance.choices(b"ab\n\xc3\xa4\0", k=chance.randrange(1, 60)))
        made.feed(chance.choice(["stdout", "stderr"]), chunk)
        total += len(chunk)
    made.close()
    kept, receipt = printed(tmp_path / "log"), made.receipt()
    assert (receipt["bytes"], receipt["sha256"]) == (len(kept), hashlib.sha256(kept).hexdigest())
    assert receipt["truncated_bytes"] == total - len(kept)
    told = [event["bytes"] for event in events(tmp_path / "log") if event["type"] == "log.truncated"]
    assert told == ([receipt["truncated_bytes"]] if receipt["truncated_bytes"] else [])
    again = recounted(tmp_path / "log", "build")
    assert (again.lines, again.bytes, again.sha256) == (receipt["lines"], receipt["bytes"], receipt["sha256"])


def test_no_part_of_a_secret_is_left_at_either_side_of_the_gap(tmp_path: Path) -> None:
    secret = "s3cr3t-t0ken-0123456789"
    for shift in range(len(secret) + 2):
        log = tmp_path / f"log{shift}"
        made = Output(EventFile(log), of_build("build_1", "build"), log_bytes=200, secrets=[secret])
        for _ in range(50):
            for piece in (b"x" * shift, secret[:9].encode(), secret[9:].encode()):
                made.feed("stdout", piece)
        made.close()
        left = printed(log).replace(b"[secret]", b"").replace(b"x", b"")
        # Of the mask itself a part may be left.
        assert left.strip(b"[secrt]") == b"", left
        assert made.receipt()["bytes"] == 200


def test_a_stream_that_prints_a_byte_at_a_time_costs_little(tmp_path: Path) -> None:
    made = output(EventFile(tmp_path / "log"), log_bytes=4 * 2**20)
    made.feed("stdout", b"x" * (3 * 2**20))
    tracemalloc.start()
    for _ in range(100_000):
        made.feed("stdout", b"a")
        made.feed("stderr", b"b")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 * 2**20
    made.close()
    assert made.receipt()["truncated_bytes"] == 0


def test_lines_on_both_sides_of_the_gap_are_not_one(tmp_path: Path) -> None:
    made = output(EventFile(tmp_path / "log"), log_bytes=40)
    made.feed("stdout", b"the beginning of a line" + b"." * 100 + b"\nerror: no such file\n")
    made.close()
    assert [line.text for line in log_lines(tmp_path / "log", "build")] == [
        "the beginning of a l",
        "error: no such file",
    ]


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
    # Neither counted as kept: what could not be written, and what came after it.
    assert made.receipt() == {"lines": 0, "bytes": 0, "sha256": EMPTY_SHA256, "truncated_bytes": 9, "unsaid_bytes": 9}


def test_a_full_disk_that_has_room_again_at_the_end_is_told_what_is_missing(tmp_path: Path) -> None:
    class FullForOnce(EventFile):
        full = True

        def append(self, records: Sequence[bytes], *, close: bool = False, durable: bool = False) -> int:
            if self.full:
                self.full = False
                raise OSError(errno.ENOSPC, "no space left")
            return super().append(records, close=close, durable=durable)

    made = output(FullForOnce(tmp_path / "log"))
    with pytest.raises(LogFailed):
        made.feed("stdout", b"one\n")
    made.feed("stdout", b"more\n")
    made.close()
    (told,) = events(tmp_path / "log")
    assert (told["type"], told["bytes"]) == ("log.truncated", 9)
    assert made.receipt()["unsaid_bytes"] == 0


def test_a_log_that_somebody_has_ended_is_no_full_disk(tmp_path: Path) -> None:
    file = EventFile(tmp_path / "log")
    file.append([b'"type":"build.completed"}'], close=True)
    with pytest.raises(LogFailed) as failed:
        output(file).feed("stdout", b"late\n")
    assert not failed.value.full
    assert isinstance(failed.value.__cause__, Conflict)
