"""Ids say when they were made, and rise."""

from datetime import UTC, datetime

import pytest
from ulid import ULID

from headrace.model.ids import id_after, is_id, made_at, new_id


def test_an_id_says_when_it_was_made() -> None:
    made = datetime(2026, 11, 20, 12, 30, 15, 123000, UTC)
    identifier = f"ver_{str(ULID.from_datetime(made)).lower()}"
    assert made_at(identifier) == "2026-11-20T12:30:15.123+00:00"


def test_a_new_id_was_made_now() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    assert before <= datetime.fromisoformat(made_at(new_id("prj"))) <= datetime.now(UTC)


@pytest.mark.parametrize("previous", [None, "ver_7zzzzzzzzz0000000000000000", "ver_01m7y5d2cszkycdpspywj2w0ba"])
def test_an_id_after_another_is_greater(previous: str | None) -> None:
    made = id_after("ver", previous)
    assert is_id(made)
    assert made > (previous or "")
