"""Secret values are taken out of streams, whatever their form and wherever the stream is cut."""

import base64
import itertools
import json
import shlex
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.masking import MASK, SHORTEST, Masker, forms

SECRET = 'pa55/w0rd+"ünd" $more&'
FORMS = {
    "raw": SECRET,
    "base64": base64.b64encode(SECRET.encode()).decode().rstrip("="),
    "base64 for URLs": base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
    "hexadecimal": SECRET.encode().hex(),
    "upper hexadecimal": SECRET.encode().hex().upper(),
    "URL": quote(SECRET, safe=""),
    "path of a URL": quote(SECRET),
    "form": quote_plus(SECRET),
    "JSON": json.dumps(SECRET),
    "JSON with its own letters": json.dumps(SECRET, ensure_ascii=False),
    "shell": shlex.quote(SECRET),
}


def masked(data: bytes, cuts: list[int], *values: str) -> bytes:
    masker = Masker(values)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [masker.feed(data[a:b]) for a, b in itertools.pairwise(edges)]
    return b"".join(pieces) + masker.flush()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_is_masked(form: str) -> None:
    said = masked(f"before {form} behind\n".encode(), [], SECRET)
    assert form.encode()[4:-4] not in said
    assert said.startswith(b"before ")
    assert said.endswith(b" behind\n")


@pytest.mark.parametrize("before", ["", "u", "us", "use", "user:"])
@pytest.mark.parametrize("behind", ["", "x", "xy", "xyz"])
def test_base64_is_found_wherever_the_secret_begins_in_what_was_encoded(before: str, behind: str) -> None:
    secret = "s3cr3t-t0ken-0123456789"
    encoded = base64.b64encode(f"{before}{secret}{behind}".encode())
    said = masked(encoded, [], secret)
    assert MASK in said
    # What is left tells at most the bits that share a character with what stands beside the secret.
    assert len(said.replace(MASK, b"")) <= len(base64.b64encode((before + behind).encode())) + 8


@given(
    st.text(min_size=SHORTEST, max_size=40),
    st.binary(max_size=60),
    st.binary(max_size=60),
    st.lists(st.integers(0, 200)),
)
@example("aaaaaaaa", b"aaa", b"aaa", [1, 2, 3, 4, 5])
def test_no_cut_lets_a_secret_through(secret: str, before: bytes, behind: bytes, cuts: list[int]) -> None:
    said = masked(before + secret.encode() + behind, cuts, secret)
    assert secret.encode() not in said.replace(MASK, b"\n")


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_what_holds_no_secret_passes_unchanged(data: bytes, cuts: list[int]) -> None:
    secret = "s3cr3t-that-nobody-says"
    assert masked(data, cuts, secret) == data


@given(st.lists(st.sampled_from([b"s3cr3t", b"s3cr3t-on", b"s3cr3t-one", b"\n", b"x"])), st.lists(st.integers(0, 100)))
def test_beginnings_of_secrets_pass_and_only_whole_ones_are_masked(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    assert masked(data, cuts, "s3cr3t-one") == data.replace(b"s3cr3t-one", MASK)


def test_each_line_of_a_value_with_several_is_masked() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nAgEAAoIBAQDZshort==\n-----END KEY-----\n"
    said = masked("\n".join(f"> {line}" for line in key.splitlines()).encode(), [30, 31], key)
    assert b"MIIEvQ" not in said
    assert b"AgEAAo" not in said


def test_a_value_that_is_too_short_is_not_looked_for() -> None:
    assert forms("true") == frozenset()
    assert masked(b"it is true", [], "true", "0") == b"it is true"


def test_a_longer_secret_that_holds_another_is_masked_as_a_whole() -> None:
    assert masked(b"<password-and-more>", [], "password", "password-and-more") == b"<" + MASK + b">"


def test_texts_are_masked_at_once() -> None:
    assert Masker(["s3cr3t-one"]).text("host s3cr3t-one.example.com") == "host [secret].example.com"
