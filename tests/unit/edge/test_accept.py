import pytest

from headrace.edge.accept import codings_for, takes_page, wants_page


@pytest.mark.parametrize(
    ("header", "codings"),
    [
        (None, ["identity"]),
        (b"", ["identity"]),
        (b"gzip, deflate, br, zstd", ["br", "zstd", "gzip", "identity"]),
        (b"gzip", ["gzip", "identity"]),
        (b"GZip, BR", ["br", "gzip", "identity"]),
        (b"x-gzip", ["gzip", "identity"]),
        (b"br;q=0.5, gzip;q=0.9", ["gzip", "br", "identity"]),
        (b"br;q=0, gzip", ["gzip", "identity"]),
        (b"*", ["br", "zstd", "gzip", "identity"]),
        (b"*;q=0", []),
        (b"identity;q=0, *", ["br", "zstd", "gzip"]),
        (b"identity;q=0", []),
        (b"identity, br;q=0.5", ["identity", "br"]),
        (b"gzip;q=0, *;q=0.1", ["br", "zstd", "identity"]),
        (b"br;q=high, gzip", ["gzip", "identity"]),
        (b"br," * 5000, ["identity"]),
    ],
)
def test_codings_come_in_the_order_of_the_clients_wish(header: bytes | None, codings: list[str]) -> None:
    assert list(codings_for(header)) == codings


BROWSER = b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("header", "wants", "takes"),
    [
        (BROWSER, True, True),
        (b"*/*", False, True),
        (None, False, True),
        (b"text/*", False, True),
        (b"application/json", False, False),
        (b"text/html;q=0", False, False),
    ],
)
def test_who_wants_a_page_and_who_takes_one(header: bytes | None, wants: bool, takes: bool) -> None:
    assert (wants_page(header), takes_page(header)) == (wants, takes)
