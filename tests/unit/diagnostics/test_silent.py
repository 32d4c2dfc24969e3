"""A command that fails and says nothing."""

from headrace.diagnostics.base import LogLine
from headrace.diagnostics.diagnose import diagnose
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import PlannedCommand, StepId
from headrace.model.sandbox import CommandResult, KillReason

MANIFEST = b'{\n  "scripts": {\n    "build": "node -e \\"process.exit(1)\\""\n  }\n}\n'


def failure_of(printed: str, result: CommandResult) -> Failure:
    return diagnose(
        StepId.BUILD,
        PlannedCommand(argv=("sh", "-c", 'node -e "process.exit(1)"')),
        result,
        [LogLine(seq=1, text=printed)],
        ["package.json"],
        lambda path: MANIFEST,
    )


def test_it_is_shown_where_it_is_written() -> None:
    first = failure_of(" ", CommandResult(exit_code=1, seconds=1)).diagnostics[0]
    assert (first.file, first.line) == ("package.json", 3)
    assert "printed nothing" in first.message


def test_what_was_printed_and_is_not_understood_stays_in_the_log() -> None:
    assert failure_of("done", CommandResult(exit_code=1, seconds=1)).diagnostics == ()


def test_what_the_sandbox_saw_needs_no_guess() -> None:
    failure = failure_of("", CommandResult(exit_code=137, seconds=1, killed_by=KillReason.TIMEOUT))
    assert failure.reason is FailureReason.TIMEOUT
    assert failure.diagnostics == ()
