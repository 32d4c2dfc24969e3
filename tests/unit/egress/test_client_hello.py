"""The host in a real client's first message, and no other end than an answer for whatever else comes."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.egress.client_hello import Incomplete, looks_like_tls, server_name


def hello(host: str | None) -> bytes:
    """What a client says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    said = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), said, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return said.read()


HELLO = hello("Registry.example.com")


def in_records(size: int) -> bytes:
    """The same message in records of at most `size` bytes."""
    message = HELLO[5:]
    pieces = [message[start : start + size] for start in range(0, len(message), size)]
    return b"".join(HELLO[:3] + len(piece).to_bytes(2) + piece for piece in pieces)


def test_the_name_that_a_client_asks_for_is_read() -> None:
    assert looks_like_tls(HELLO)
    assert server_name(HELLO) == "registry.example.com"
    assert server_name(HELLO + b"what follows") == "registry.example.com"


def test_a_client_that_names_no_host_names_none() -> None:
    assert server_name(hello(None)) is None


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_message_in_many_records_is_one(size: int) -> None:
    assert server_name(in_records(size)) == "registry.example.com"


@given(st.integers(0, len(HELLO) - 1))
def test_a_beginning_is_waited_for(length: int) -> None:
    with pytest.raises(Incomplete):
        server_name(HELLO[:length])


@given(st.binary(max_size=400))
def test_anything_at_all_has_an_answer(data: bytes) -> None:
    answered(data)
    answered(b"\x16\x03\x01" + data)


@given(st.integers(0, len(HELLO) - 1), st.binary(min_size=1, max_size=4))
def test_a_damaged_message_has_an_answer(position: int, wrong: bytes) -> None:
    answered(HELLO[:position] + wrong + HELLO[position + len(wrong) :])


def answered(data: bytes) -> None:
    try:
        name = server_name(data)
    except (Incomplete, ValueError):
        return
    assert name is None or name.isascii()
