import pytest

from headrace.edge.address import OWN, Addresses, UnknownHost, is_label

ADDRESSES = Addresses("localhost", ["headrace.example.com"])


@pytest.mark.parametrize(
    ("host", "label"),
    [
        (b"shop.localhost", "shop"),
        (b"shop.localhost:7700", "shop"),
        (b"shop.localhost.", "shop"),
        (b"shop.localhost.:7700", "shop"),
        (b"SHOP.LocalHost", "shop"),
        (b"xn--bcher-kva.localhost", "xn--bcher-kva"),
        (b"a.b.localhost", "a.b"),
        (b"localhost:7700", OWN),
        (b"127.0.0.1:7700", OWN),
        (b"[::1]:7700", OWN),
        (b"192.168.1.5", OWN),
        (b"headrace.example.com", OWN),
    ],
)
def test_a_host_has_one_meaning_however_it_is_written(host: bytes, label: str) -> None:
    assert ADDRESSES.label(host) == label


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"localhost.evil.example",
        b"shoplocalhost",
        b"sub.headrace.example.com",
        b"",
        b".",
        b"shop..localhost",
        b"shop.localhost:port",
        b"shop.localhost/evil",
        b"user@shop.localhost",
        b"shop.localhost, evil.example",
        b"shop.localhost..",
        b"b\xfccher.localhost",
    ],
)
def test_any_other_host_is_unknown(host: bytes) -> None:
    with pytest.raises(UnknownHost):
        ADDRESSES.label(host)


@pytest.mark.parametrize(
    ("label", "valid"), [("a", True), ("a-1", True), ("-a", False), ("a.b", False), ("a_b", False), ("a" * 64, False)]
)
def test_only_a_dns_label_is_asked_for(label: str, valid: bool) -> None:
    assert is_label(label) is valid
