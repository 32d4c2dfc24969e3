"""What `diagnose` reads from outputs of real tools. `tests/golden/record_diagnostics.py` made them."""

import json
from pathlib import Path

import pytest

from headrace.diagnostics.base import LogLine
from headrace.diagnostics.diagnose import diagnose
from headrace.diagnostics.fit import LARGEST
from headrace.model.diagnostic import Failure
from headrace.model.plan import PlannedCommand, StepId
from headrace.model.sandbox import CommandResult

GOLDEN = Path(__file__).parents[2] / "golden/diagnostics"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())


def failure_of(case: str, *, with_sources: bool = True) -> tuple[Failure, list[str], list[str]]:
    facts = json.loads((GOLDEN / f"{case}.json").read_text())
    printed = (GOLDEN / f"{case}.txt").read_text().split("\n")
    sources = facts["sources"]
    failure = diagnose(
        StepId(facts["step"]),
        PlannedCommand(argv=tuple(facts["argv"])),
        CommandResult(exit_code=facts["exit_code"], seconds=1),
        [LogLine(seq=100 + number, text=text) for number, text in enumerate(printed)],
        facts["files"],
        (lambda path: sources[path].encode() if path in sources else None) if with_sources else None,
    )
    return failure, facts["files"], printed


@pytest.mark.parametrize("case", EXPECTED)
def test_the_cause_of_a_real_failure_is_found(case: str) -> None:
    failure, files, printed = failure_of(case)
    first, expected = failure.diagnostics[0], EXPECTED[case]
    found = {
        "reason": failure.reason.value,
        "tool": first.tool,
        "code": first.code,
        "file": first.file,
        "line": first.line,
        "column": first.column,
        "message": first.message[:140],
    }
    assert found == expected
    assert first.file is None or first.file in files
    assert first.log_seq is not None
    assert printed[first.log_seq - 100].strip()
    assert len(failure.model_dump_json().encode()) <= LARGEST
    assert "\x1b" not in failure.model_dump_json()


def test_every_recorded_output_is_expected_to_be_something() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == EXPECTED.keys()


def test_without_the_sources_only_lines_are_missing() -> None:
    for case, expected in EXPECTED.items():
        failure, files, _ = failure_of(case, with_sources=False)
        first = failure.diagnostics[0]
        assert failure.reason.value == expected["reason"]
        assert first.file in (expected["file"], None)
        assert first.file is None or first.file in files


def test_no_output_names_the_machine_it_was_made_on() -> None:
    for path in GOLDEN.glob("*.txt"):
        assert "/root" not in path.read_text()
        assert "/work" not in path.read_text()
