"""A program that waits for an answer that nobody gives ends by itself, and the line is named."""

from headrace.diagnostics.base import LogLine
from headrace.diagnostics.diagnose import diagnose
from headrace.model.plan import PlannedCommand, StepId
from headrace.model.sandbox import CommandResult


def test_a_question_that_nobody_answers_is_named_with_its_line() -> None:
    printed = (
        "Continue? (y/N) ",
        "Warning: Detected unsettled top-level await at file:///app/b.mjs:3",
        "const a = await rl.question('Continue? (y/N) ');",
        "                ^",
    )
    failure = diagnose(
        StepId.BUILD,
        PlannedCommand(argv=("sh", "-c", "node b.mjs")),
        CommandResult(exit_code=13, seconds=1),
        [LogLine(seq=number, text=text) for number, text in enumerate(printed)],
        ["b.mjs", "package.json"],
    )
    first = failure.diagnostics[0]
    assert (first.file, first.line, first.log_seq) == ("b.mjs", 3, 1)
    assert "Nobody answers" in (failure.hint or "")
