"""A grant is what its signature says, until its time is over."""

import pytest

from headrace.preview.links import check, sign, view_grant, visit_grant

SECRET = b"s" * 32
GRANT = visit_grant("prj_a")


def test_a_signed_grant_counts_until_it_expires() -> None:
    token = sign(SECRET, GRANT, 1000)
    assert check(SECRET, GRANT, token, 999.9)
    assert not check(SECRET, GRANT, token, 1000)


@pytest.mark.parametrize("grant", [visit_grant("prj_b"), view_grant("prj_a")])
def test_a_grant_for_one_thing_is_none_for_another(grant: str) -> None:
    assert not check(SECRET, grant, sign(SECRET, GRANT, 1000), 1)


@pytest.mark.parametrize("token", ["", ".", "1000", "1000.", "x.y", "9" * 400 + ".a", "٣.a", "-1.a", "2000.é"])
def test_what_is_no_token_gives_nothing(token: str) -> None:
    assert not check(SECRET, GRANT, token, 1)


def test_a_longer_time_needs_another_signature() -> None:
    _, _, signature = sign(SECRET, GRANT, 1000).partition(".")
    assert not check(SECRET, GRANT, f"2000.{signature}", 1)


def test_another_server_signs_otherwise() -> None:
    assert not check(b"t" * 32, GRANT, sign(SECRET, GRANT, 1000), 1)
