"""What is sealed opens with the same key, for the same purpose, unchanged, and not otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import SealBroken
from headrace.sealing import Sealer

SEALER = Sealer(b"k" * 32)


@given(st.text())
def test_what_is_sealed_opens_again(value: str) -> None:
    assert SEALER.open(SEALER.seal(value, "one"), "one") == value


def test_equal_values_look_different_when_sealed_and_have_one_fingerprint() -> None:
    assert SEALER.seal("value", "one") != SEALER.seal("value", "one")
    assert SEALER.fingerprint("value", "one") == SEALER.fingerprint("value", "one")
    assert SEALER.fingerprint("value", "one") != SEALER.fingerprint("other", "one")


def test_nobody_without_the_key_can_try_values_against_a_fingerprint() -> None:
    assert Sealer(b"x" * 32).fingerprint("value", "one") != SEALER.fingerprint("value", "one")


@pytest.mark.parametrize(
    ("sealer", "about", "flip"),
    [(Sealer(b"x" * 32), "one", None), (SEALER, "another", None), (SEALER, "one", 0), (SEALER, "one", -1)],
    ids=["another key", "another purpose", "another nonce", "changed"],
)
def test_anything_else_does_not_open(sealer: Sealer, about: str, flip: int | None) -> None:
    sealed = bytearray(SEALER.seal("value", "one"))
    if flip is not None:
        sealed[flip] ^= 1
    with pytest.raises(SealBroken) as refused:
        sealer.open(bytes(sealed), about)
    assert "set the value again" in (refused.value.hint or "")
