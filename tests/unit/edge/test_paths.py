import pytest

from headrace.edge.paths import BadPath, decode_path


@pytest.mark.parametrize(
    "raw",
    [
        b"/..%2f..%2fetc/passwd",
        b"/../etc/passwd",
        b"/a/%2e%2e/b",
        b"/a/..;/b",
        b"/a/..;x=1/b",
        b"/\\..\\windows",
        b"/%5c..%5c",
        b"/a%00.html",
        b"/./index.html",
        b"/a/.",
        b"/%ff",
        b"/100%",
        b"/%zz",
        b"/a%0d%0aSet-Cookie:x",
        b"no-slash",
        b"/" + b"a" * 9000,
    ],
)
def test_a_path_that_climbs_or_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(BadPath):
        decode_path(raw)


@pytest.mark.parametrize("raw", [b"/%252e%252e/x", b"//host", b"/a//b", b"/%2fhost", b"/a%252fb", b"/a%2500"])
def test_a_path_that_means_more_than_one_thing_is_for_exact_names_only(raw: bytes) -> None:
    assert not decode_path(raw).plain


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"/", ""),
        (b"/a/b.html", "a/b.html"),
        (b"/caf%C3%A9", "café"),
        (b"/a%20b", "a b"),
        (b"/a;b", "a;b"),
        (b"/...", "..."),
        (b"/.well-known/x", ".well-known/x"),
    ],
)
def test_a_path_is_decoded_once(raw: bytes, text: str) -> None:
    path = decode_path(raw)
    assert (path.text, path.plain) == (text, True)
