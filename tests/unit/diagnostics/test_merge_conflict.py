"""A file with a merge in it that nobody has resolved."""

import pytest

from headrace.diagnostics.base import LogLine
from headrace.diagnostics.diagnose import diagnose
from headrace.merge_conflict import conflict_line
from headrace.model.diagnostic import FailureReason
from headrace.model.plan import PlannedCommand, StepId
from headrace.model.sandbox import CommandResult

CONFLICT = "let a = 1\n<<<<<<< HEAD\nlet b = 1\n=======\nlet b = 2\n>>>>>>> feature\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (CONFLICT, 2),
        (CONFLICT.replace("\n", "\r\n"), 2),
        ("Title\n=======\n", None),
        ("<<<<<<< HEAD\nno end\n=======\n", None),
        ("say('<<<<<<< HEAD')\n=======\n>>>>>>> x\n", None),
        ("", None),
    ],
)
def test_a_conflict_is_found_by_its_three_lines(text: str, line: int | None) -> None:
    assert conflict_line(text) == line


@pytest.mark.parametrize(("holder", "line"), [("src/a.ts", 2), ("src/b.ts", 4)])
def test_it_is_the_cause_of_what_a_tool_says_of_the_file_and_of_no_other(holder: str, line: int) -> None:
    def read(path: str) -> bytes:
        return CONFLICT.encode() if path == holder else b"a\nb\nc\nd\n"

    failure = diagnose(
        StepId.BUILD,
        PlannedCommand(argv=("tsc",)),
        CommandResult(exit_code=2, seconds=1),
        [LogLine(seq=1, text="src/a.ts(4,1): error TS1005: ';' expected.")],
        ["src/a.ts", "src/b.ts"],
        read,
    )
    assert failure.reason is FailureReason.SYNTAX_ERROR
    assert (failure.diagnostics[0].file, failure.diagnostics[0].line) == ("src/a.ts", line)
    assert ("resolve the merge" in (failure.hint or "")) is (holder == "src/a.ts")
