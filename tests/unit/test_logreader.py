import hashlib
from pathlib import Path

import orjson
import pytest

from headrace.eventfile import EventFile
from headrace.loglines import LineEncoder, Tally, of_build
from headrace.logreader import log_lines, printed, verify
from headrace.model.build import Receipt

TS = "2026-11-20T21:00:00.123Z"
INSTALL = [b"added 120 packages\n", b"\xff\xfe no text\n", b"audited\n"]
BUILD = [b"x" * 200_000, b"\nvite ", b"built", b"\r\nlast \x1b[32mline\x1b[0m without newline"]


def command(file: EventFile, step: str, chunks: list[bytes]) -> Tally:
    """What a supervisor and its worker write for one command."""
    tally = Tally()
    encoder = LineEncoder(of_build("build_1", step), "stdout", tally)
    for chunk in chunks:
        if records := encoder.feed(chunk, TS) + encoder.flush(TS, final=False):
            file.append(records)
    if records := encoder.flush(TS):
        file.append(records)
    fact(
        file,
        "build.command.completed",
        step=step,
        exit_code=0,
        seconds=1,
        lines=tally.lines,
        bytes=tally.bytes,
        sha256=tally.sha256,
    )
    return tally


def fact(file: EventFile, kind: str, **fields: object) -> None:
    file.append([orjson.dumps({"ts": TS, "type": kind, "build_id": "build_1", **fields})[1:]])


def rolled(*tallies: Tally) -> str:
    rolling = bytes(32)
    for tally in tallies:
        rolling = hashlib.sha256(rolling + bytes.fromhex(tally.sha256)).digest()
    return rolling.hex()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "build_1.ndjson"
    file = EventFile(path)
    fact(file, "build.created", project_id="prj_1")
    first, second = command(file, "dependencies", INSTALL), command(file, "build", BUILD)
    receipt = Receipt(lines=6, bytes=sum(map(len, INSTALL + BUILD)), sha256=rolled(first, second))
    fact(file, "build.completed", status="succeeded", seconds=2, receipt=receipt.model_dump())
    file.close()
    return path


def test_a_sound_log_gives_the_receipt_that_it_states(path: Path) -> None:
    verification = verify(EventFile(path).read_from())
    assert verification.problems == []
    assert verification.stated == verification.receipt
    assert (verification.receipt.lines, verification.receipt.bytes) == (6, sum(map(len, INSTALL + BUILD)))


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (b'"line":"audited"', b'"line":"audiTed"', "command of step dependencies: sha256"),
        (b'"line":"audited"', b'"line":"audited!"', "command of step dependencies: bytes"),
        (b'"raw":"//4gbm8gdGV4dA=="', b'"raw":"//4gbm8gdGV4dA=="', None),
        (b'"raw":"//4gbm8gdGV4dA=="', b'"raw":"//8gbm8gdGV4dA=="', "sha256"),
        (b'"seq":3,', b'"seq":4,', "event 4 follows event 2"),
        (b'"receipt":{"lines":6', b'"receipt":{"lines":7', "the receipt should be"),
    ],
)
def test_a_changed_log_is_found_out(path: Path, before: bytes, after: bytes, problem: str | None) -> None:
    data = path.read_bytes()
    assert before in data
    found = verify([data.replace(before, after)]).problems
    assert (problem is None and not found) or any(str(problem) in one for one in found)


def test_a_missing_line_is_found_out(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[2]
    problems = verify(lines).problems
    assert "event 4 follows event 2" in problems
    assert any("lines should be 3, the log has 2" in problem for problem in problems)


def test_a_command_that_was_lost_counts_as_silent(tmp_path: Path) -> None:
    file = EventFile(tmp_path / "log.ndjson")
    file.append(LineEncoder(of_build("build_1", "build"), "stdout").feed(b"one\ntwo\n", TS))
    fact(file, "build.command.completed", step="build", killed_by="lost", seconds=1, lines=0, bytes=0)
    silent = hashlib.sha256(bytes(32) + hashlib.sha256().digest()).hexdigest()
    fact(file, "build.completed", status="failed", seconds=2, receipt={"sha256": silent})
    verification = verify(file.read_from())
    assert (verification.problems, verification.unknown) == ([], 2)


def test_the_lines_of_a_step_come_whole_and_without_escape_sequences(path: Path) -> None:
    lines = list(log_lines(path, "build"))
    assert "".join(line.text for line in lines[:-2]) == "x" * 200_000
    assert [line.text for line in lines[-2:]] == ["vite built", "last line without newline"]
    assert [line.text for line in log_lines(path, "dependencies")] == ["added 120 packages", "�� no text", "audited"]
    assert list(log_lines(path, "deploy")) == []


def test_what_a_step_printed_can_be_counted_again(path: Path) -> None:
    tally = printed(path, "build")
    assert (tally.lines, tally.bytes) == (3, sum(map(len, BUILD)))
    assert tally.sha256 == hashlib.sha256(b"".join(BUILD)).hexdigest()
