"""What `diagnose` reads from outputs of real tools. `tests/golden/record_*.py` made them."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.diagnostics.base import LogLine
from headrace.diagnostics.diagnose import diagnose
from headrace.diagnostics.fit import LARGEST
from headrace.model.diagnostic import Failure
from headrace.model.plan import PlannedCommand, StepId
from headrace.model.sandbox import CommandResult

GOLDEN = Path(__file__).parents[2] / "golden/diagnostics"
#: Logs in which nothing is wrong.
NONE = GOLDEN.with_name("diagnostics_none")
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())


def failure_of(
    case: str, *, with_sources: bool = True, directory: Path = GOLDEN
) -> tuple[Failure, list[str], list[str]]:
    facts = json.loads((directory / f"{case}.json").read_text())
    printed = (directory / f"{case}.txt").read_text().split("\n")
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


@pytest.mark.parametrize("case", sorted(path.stem for path in NONE.glob("*.txt")))
def test_a_log_in_which_nothing_is_wrong_has_no_diagnostics(case: str) -> None:
    failure, _, _ = failure_of(case, directory=NONE)
    assert failure.diagnostics == ()


@pytest.mark.parametrize("case", list(EXPECTED)[::4])
def test_windows_line_ends_and_progress_change_nothing(case: str) -> None:
    facts = json.loads((GOLDEN / f"{case}.json").read_text())
    printed = (GOLDEN / f"{case}.txt").read_text().split("\n")
    read, command = facts["sources"], PlannedCommand(argv=tuple(facts["argv"]))
    result = CommandResult(exit_code=facts["exit_code"], seconds=1)
    first, second = (
        diagnose(
            StepId(facts["step"]),
            command,
            result,
            [LogLine(seq=n, text=f"{before if text else ''}{text}{after}") for n, text in enumerate(printed)],
            facts["files"],
            lambda path: read[path].encode() if path in read else None,
        )
        for before, after in (("", ""), ("building 10%\rbuilding 90%\r", "\r"))
    )
    assert first == second


@given(
    cases=st.lists(st.sampled_from(list(EXPECTED)), min_size=1, max_size=4),
    parts=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), min_size=1, max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_pieces_of_logs_in_any_order_are_read_without_an_error(cases: list[str], parts: list[tuple[int, int]]) -> None:
    files: set[str] = set()
    printed: list[str] = []
    for case in cases:
        files.update(json.loads((GOLDEN / f"{case}.json").read_text())["files"])
        lines = (GOLDEN / f"{case}.txt").read_text().split("\n")
        printed += [line for start, length in parts for line in lines[start : start + length]]
    failure = diagnose(
        StepId.BUILD,
        PlannedCommand(argv=("build",)),
        CommandResult(exit_code=1, seconds=1),
        [LogLine(seq=number, text=text) for number, text in enumerate(printed)],
        files,
        lambda path: b'{"name": 1}\n' if path.endswith("n") else None,
    )
    assert all(diagnostic.file is None or diagnostic.file in files for diagnostic in failure.diagnostics)
    assert len(failure.model_dump_json().encode()) <= LARGEST


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
    for path in (*GOLDEN.glob("*.txt"), *NONE.glob("*.txt")):
        assert "/root/" not in path.read_text()
        assert "/work" not in path.read_text()
