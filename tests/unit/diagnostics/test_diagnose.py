from collections.abc import Iterator

import pytest

from headrace.diagnostics.base import LogLine
from headrace.diagnostics.diagnose import diagnose
from headrace.diagnostics.fit import LARGEST
from headrace.model.diagnostic import Diagnostic, Failure, FailureReason
from headrace.model.limits import MIB, Limits
from headrace.model.plan import PlannedCommand, StepId
from headrace.model.sandbox import CommandResult, KillReason

COMMAND = PlannedCommand(argv=("sh", "-c", "vite build"), limits=Limits(memory_bytes=512 * MIB, seconds=60, pids=64))


def failure(result: CommandResult, *lines: str, files: tuple[str, ...] = ()) -> Failure:
    return diagnose(
        StepId.BUILD, COMMAND, result, [LogLine(seq=n + 1, text=text) for n, text in enumerate(lines)], files
    )


@pytest.mark.parametrize(
    ("result", "reason", "says"),
    [
        (
            CommandResult(killed_by=KillReason.MEMORY, seconds=1, peak_memory_bytes=511 * MIB),
            FailureReason.OUT_OF_MEMORY,
            "out of memory: it reached 511 MiB, the limit is 512 MiB",
        ),
        (CommandResult(killed_by=KillReason.TIMEOUT, seconds=60), FailureReason.TIMEOUT, "time limit of 60 s"),
        (CommandResult(killed_by=KillReason.DISK, seconds=1), FailureReason.DISK_FULL, "8,192 MiB"),
        (CommandResult(killed_by=KillReason.DISK, disk_limit="files", seconds=1), FailureReason.DISK_FULL, "2,000,000"),
        (CommandResult(killed_by=KillReason.DISK, disk_limit="machine", seconds=1), FailureReason.DISK_FULL, "machine"),
        (CommandResult(killed_by=KillReason.LOST, seconds=1), FailureReason.SANDBOX_DIED, "went away"),
        (CommandResult(exit_code=1, pids_limit_hit=True, seconds=1), FailureReason.PIDS_LIMIT, "limit of 64"),
        (CommandResult(exit_code=1, seconds=1), FailureReason.COMMAND_FAILED, "vite build: exit code 1"),
        (CommandResult(exit_code=137, seconds=1), FailureReason.COMMAND_FAILED, "SIGKILL (exit code 137)"),
        (CommandResult(exit_code=255, seconds=1), FailureReason.COMMAND_FAILED, "exit code 255"),
    ],
)
def test_the_reason_comes_from_evidence_and_not_from_the_exit_code(
    result: CommandResult, reason: FailureReason, says: str
) -> None:
    found = failure(result)
    assert found.reason is reason
    assert says in found.message


def test_what_the_sandbox_saw_goes_before_what_the_log_says() -> None:
    killed = CommandResult(killed_by=KillReason.MEMORY, seconds=1)
    found = failure(killed, "src/a.ts(1,2): error TS2322: no", files=("src/a.ts",))
    assert found.reason is FailureReason.OUT_OF_MEMORY
    assert found.diagnostics[0].code == "TS2322"


def test_a_file_that_is_not_of_the_version_is_not_named() -> None:
    found = failure(
        CommandResult(exit_code=1, seconds=1), "../../etc/passwd(1,2): error TS2322: no", files=("src/a.ts",)
    )
    assert found.diagnostics[0].file is None


def test_a_command_below_the_root_names_files_from_the_root() -> None:
    command = PlannedCommand(argv=("tsc",), directory="apps/web")
    lines = [
        LogLine(seq=1, text="src/a.ts(1,2): error TS2322: no"),
        LogLine(seq=2, text="../../libs/b.ts(3,4): error TS1: no"),
    ]
    files = ("apps/web/src/a.ts", "libs/b.ts")
    found = diagnose(StepId.BUILD, command, CommandResult(exit_code=1, seconds=1), lines, files)
    assert [diagnostic.file for diagnostic in found.diagnostics] == list(files)


def test_a_failure_is_small_whatever_the_log_holds() -> None:
    lines = [f"src/{'a' * 300}.ts({n},2): error TS2322: {'ü' * 3000}" for n in range(1, 3000)]
    found = failure(CommandResult(exit_code=1, seconds=1), *lines, files=(f"src/{'a' * 300}.ts",))
    assert len(found.model_dump_json().encode()) <= LARGEST
    assert found.diagnostics[0].line == 1


def test_a_failure_is_small_whatever_the_command_is() -> None:
    command = PlannedCommand(argv=("sh", "-c", "\u0001" * 100_000))
    found = diagnose(StepId.BUILD, command, CommandResult(exit_code=1, seconds=1), [], ())
    assert len(found.model_dump_json().encode()) <= LARGEST


def test_a_log_that_pretends_is_only_text() -> None:
    found = failure(
        CommandResult(exit_code=1, seconds=1), '{"type":"build.completed","status":"succeeded"}', "::set-env::X=1"
    )
    assert found.reason is FailureReason.COMMAND_FAILED
    assert found.diagnostics == ()


def test_a_million_lines_are_read_in_bounded_memory() -> None:
    alive = 0

    class Counted(LogLine):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    most = 0

    def lines() -> Iterator[LogLine]:
        nonlocal alive, most
        for n in range(60_000):
            alive += 1
            most = max(most, alive)
            yield Counted(seq=n, text="x" * 100)
        yield LogLine(seq=60_000, text="src/a.ts(7,2): error TS2322: the last line")

    found = diagnose(StepId.BUILD, COMMAND, CommandResult(exit_code=1, seconds=1), lines(), ("src/a.ts",))
    assert found.diagnostics[0].log_seq == 60_000
    assert most < 7_000


@pytest.mark.parametrize(
    "line",
    [
        "a." * 500,
        "a/" * 500,
        "   at " + "/a(" * 300,
        "Error: " * 140,
        "npm error " + "x@" * 450,
        "\x1b[" * 500,
        "at (/a" * 160,
    ],
)
@pytest.mark.parametrize(
    "first", ["error during build:", "npm error code E404", "Error: ERR_PNPM_FETCH_404", "Error: x"]
)
@pytest.mark.timeout(60)
def test_a_log_made_to_be_slow_to_read_is_not(first: str, line: str) -> None:
    found = failure(CommandResult(exit_code=1, seconds=1), first, *([line] * 500))
    assert len(found.model_dump_json().encode()) <= LARGEST


@pytest.mark.timeout(60)
def test_thousands_of_imports_that_lead_nowhere_are_looked_up_in_bounded_time() -> None:
    lines = [f"src/a.ts({n},2): error TS2307: Cannot find module './file{n}x' or its types." for n in range(1, 5000)]
    files = (*(f"src/file{n}.ts" for n in range(3000)), "src/a.ts")
    found = failure(CommandResult(exit_code=1, seconds=1), *lines, files=files)
    assert found.diagnostics[0].hint == "did you mean src/file1.ts?"


def test_a_mistake_in_the_middle_of_a_long_log_is_found() -> None:
    lines = [f"line {n}" for n in range(30_000)]
    lines[15_000] = "src/a.ts(1,2): error TS2322: no"
    found = failure(CommandResult(exit_code=1, seconds=1), *lines, files=("src/a.ts",))
    assert (found.reason, found.diagnostics[0].log_seq) == (FailureReason.TYPE_ERROR, 15_001)


def test_the_same_mistake_told_by_two_tools_is_one() -> None:
    lines = (
        "src/a.ts(1,2): error TS2322: Type 'string' is not assignable to type 'number'.",
        "ERROR in src/a.ts:1:2",
        "TS2322: Type 'string' is not assignable to type 'number'.",
    )
    found = failure(CommandResult(exit_code=1, seconds=1), *lines, files=("src/a.ts",))
    assert [diagnostic.tool for diagnostic in found.diagnostics] == ["tsc"]


@pytest.mark.parametrize(
    ("exit_code", "peak", "believed"),
    [
        (134, 300, True),
        (133, 40, True),
        (134, None, True),
        # A program above it that has its own exit code, and memory that was in use.
        (1, 130, True),
        (134, 3, False),
        (1, 40, False),
        (1, None, False),
        (137, 40, False),
    ],
)
def test_a_log_that_says_that_a_heap_was_full_is_believed_when_it_may_have_been(
    exit_code: int, peak: int | None, believed: bool
) -> None:
    result = CommandResult(exit_code=exit_code, seconds=1, peak_memory_bytes=peak * MIB if peak else None)
    lines = ("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory", "Aborted")
    found = failure(result, *lines)
    assert found.reason is (FailureReason.OUT_OF_MEMORY if believed else FailureReason.COMMAND_FAILED)
    assert found.diagnostics[0].message == "JavaScript heap out of memory", "it was said, in any case"
    if not believed:
        also = failure(result, *lines, "src/a.ts(1,2): error TS2322: no", files=("src/a.ts",))
        assert also.reason is FailureReason.TYPE_ERROR


def test_nodes_own_heap_is_told_from_the_sandboxes_memory() -> None:
    found = failure(CommandResult(exit_code=134, seconds=1), "FATAL ERROR: JavaScript heap out of memory")
    assert found.reason is FailureReason.OUT_OF_MEMORY
    assert found.hint is not None
    assert "--max-old-space-size=384" in found.hint


def test_warnings_of_a_build_that_failed_for_another_reason_are_no_errors() -> None:
    lines = (
        "(!) Some chunks are larger than 500 kB",
        "npm warn deprecated x@1.0.0",
        "src/a.ts(1,2): warning TS0: hm",
        "boom",
    )
    found = failure(CommandResult(exit_code=3, seconds=1), *lines)
    assert (found.reason, found.diagnostics) == (FailureReason.COMMAND_FAILED, ())


def test_diagnostics_are_values() -> None:
    assert isinstance(failure(CommandResult(exit_code=1, seconds=1), "error TS5083: x").diagnostics[0], Diagnostic)
