"""What a program in the sandbox reports becomes diagnostics; nothing of it is trusted."""

from typing import Any

import pytest

from headrace.diagnostics.places import Places
from headrace.preview.drivers._reported import outcome_of

PLACES = Places({"src/App.tsx", "src/main.tsx"}, "")


def _error(file: object, line: object, message: object = "wrong") -> dict[str, object]:
    return {"file": file, "line": line, "column": 3, "message": message}


def test_errors_of_a_file_come_from_its_top_down() -> None:
    errors = [_error("/app/src/App.tsx", 120), _error("/app/src/main.tsx", 2), _error("/app/src/App.tsx", 23)]
    outcome = outcome_of("vite", {"ok": False, "errors": errors}, PLACES)
    assert [(one.file, one.line) for one in outcome.diagnostics] == [
        ("src/App.tsx", 23),
        ("src/App.tsx", 120),
        ("src/main.tsx", 2),
    ]
    assert outcome.message == "src/App.tsx:23:3: wrong (and 2 more)"


@pytest.mark.parametrize(
    "errors",
    [None, "many", [None, 3], [{}], [_error(3, "x", None)], [_error("/etc/passwd", -1)], [_error("a" * 9000, 10**12)]],
)
def test_what_makes_no_sense_still_makes_an_outcome(errors: Any) -> None:
    outcome = outcome_of("vite", {"ok": "yes", "errors": errors, "restart": 1}, PLACES)
    assert not outcome.ok
    assert not outcome.restart
    assert outcome.message
    assert all(one.file is None and one.line is None for one in outcome.diagnostics)
