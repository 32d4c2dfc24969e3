"""The list of reasons is closed and documented."""

from pathlib import Path

from headrace.diagnostics.reasons import MEANINGS, markdown
from headrace.model.diagnostic import FailureReason

DOCS = Path(__file__).parents[3] / "docs"


def test_every_reason_has_one_meaning() -> None:
    explained = [reason for group in MEANINGS.values() for reason in group]
    assert sorted(explained) == sorted(FailureReason)


def test_every_reason_says_what_to_do() -> None:
    for group in MEANINGS.values():
        for meaning in group.values():
            assert meaning.happened.endswith(".")
            assert meaning.remedy.endswith(".")


def test_the_page_of_reasons_is_what_the_list_says() -> None:
    assert (DOCS / "failures.md").read_text() == markdown()
