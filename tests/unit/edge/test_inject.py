"""The script's place in a page, for pages as they are and as nobody would write them."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.edge.inject import Injector, inject, script

HERE = script()


@pytest.mark.parametrize(
    "page",
    [
        b"<!doctype html><html><head>|<title>x</title><script>1</script></head>",
        b'<!DOCTYPE HTML>\n<HTML LANG="en">\n<HEAD>|\n<SCRIPT>1</SCRIPT>',
        b"\xef\xbb\xbf<!doctype html><head>|<meta charset=utf-8>",
        b"<!doctype html>|<title>no head</title>",
        b"<!doctype html>|\n<script>first()</script><head></head>",
        b"<!-- a > b --><!doctype html><!--><!---><html><!-- <head> --><head>|",
        b"<!doctype html><html data-a='>' data-b=\">\" c=/x><head prefix='og: >'>|<p>",
        b'<?xml version="1.0"?><!doctype html><html><head>|',
        b"<!doctype html><html>|<header>not a head</header>",
        b"<!doctype html><html>|<body><script></script>",
        b"|just text",
        b"|<p>a fragment</p><head>",
        b"|",
        b"<!doctype html>|<!-- never closed <head>",
        b"<!doctype html><html>|<head never closed",
        b"<!doctype html>|</html><head>",
        b"<head/>|<script></script>",
    ],
)
def test_the_script_is_the_first_thing_of_the_head(page: bytes) -> None:
    before, after = page.split(b"|")
    assert inject(before + after) == before + HERE + after


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_pages_of_wide_characters_are_left_alone(encoding: str) -> None:
    page = "<!doctype html><head>".encode(encoding)
    assert inject(page) == page
    assert stream([page]) == page


def test_the_page_learns_its_version() -> None:
    assert inject(b"<head>", "ver_01") == b'<head><script src="/.headrace/page.js" data-version="ver_01"></script>'


def test_what_is_no_version_does_not_get_into_the_page() -> None:
    assert inject(b"<head>", '"><script>') == b"<head>" + HERE


def test_a_very_large_page_costs_its_copy() -> None:
    page = b"<!doctype html>" + b"<p>text</p>" * 2_000_000
    assert inject(page).startswith(b"<!doctype html>" + HERE)


def test_a_tag_without_end_is_looked_at_once() -> None:
    page = b"<html " + b"a=" * 1_000_000
    assert inject(page) == HERE + page


def test_a_page_that_does_not_begin_is_passed_on() -> None:
    pieces = [b"<!--" + b"x" * 50_000, b"x" * 50_000, b"--><head>"]
    assert stream(pieces) == b"".join(pieces)


def test_a_stream_goes_on_as_soon_as_the_place_is_known() -> None:
    injector = Injector()
    assert injector.feed(b"<!doctype html><ht") == b""
    assert injector.feed(b"ml><head><title>") == b"<!doctype html><html><head>" + HERE + b"<title>"
    assert injector.feed(b"more") == b"more"
    assert injector.end() == b""


PIECES = st.sampled_from(
    [
        b"<!doctype html>", b"<html>", b"<html a='>'>", b"<head>", b"<HEAD>", b"<!-- c -->", b"<!--", b"-->", b" ", b"\n",
        b"<script>", b"</script>", b"<body>", b"text", b"<", b">", b"'", b'"', b"=", b"/", b"<header>", b"<?x", b"\xef\xbb\xbf",
    ]
)  # fmt: skip
PAGES = st.one_of(st.lists(PIECES, max_size=12).map(b"".join), st.binary(max_size=200))


@given(PAGES)
def test_nothing_else_of_the_page_changes_and_twice_is_once(page: bytes) -> None:
    done = inject(page)
    assert done == page or done.replace(HERE, b"", 1) == page
    assert inject(done) == done


@given(PAGES, st.data())
def test_a_page_in_pieces_gets_what_a_whole_one_gets(page: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(page)), max_size=6)))
    pieces = [page[start:end] for start, end in zip([0, *cuts], [*cuts, len(page)], strict=True)]
    assert stream(pieces) == inject(page)


@given(st.lists(PIECES, max_size=12).map(b"".join))
def test_no_script_of_the_page_comes_first(page: bytes) -> None:
    class Scripts(HTMLParser):
        first: str | None = None

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "script" and self.first is None:
                self.first = dict(attrs).get("src") or "theirs"

    parser = Scripts()
    # Python's parser and browsers differ about comments that nobody closes; those hide what comes behind.
    parser.feed(re.sub(r"<!--(?!.*-->).*", "", inject(page).decode("latin-1"), flags=re.DOTALL))
    assert parser.first in (None, "/.headrace/page.js")


def stream(pieces: list[bytes]) -> bytes:
    injector = Injector()
    return b"".join([*(injector.feed(piece) for piece in pieces), injector.end()])
