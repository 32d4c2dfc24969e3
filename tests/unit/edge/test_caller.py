"""What is read from a request to a preview."""

from typing import Any

import pytest

from headrace.edge.caller import Caller


def scope(query: bytes = b"", kind: str = "http", /, **headers: str) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": kind, "method": "GET", "scheme": "http", "query_string": query, "headers": pairs}


@pytest.mark.parametrize(
    ("query", "left", "link", "version"),
    [
        (b"a=1&headrace=x.y&b=2", b"a=1&b=2", "x.y", None),
        (b"min_version=ver_1", b"", None, "ver_1"),
        (b"headrace=a&headrace=b", b"", "b", None),
        (b"my_headrace=1&min_versions=2", b"my_headrace=1&min_versions=2", None, None),
        (b"a=%26headrace=1", b"a=%26headrace=1", None, None),
    ],
)
def test_own_parameters_are_taken_out(query: bytes, left: bytes, link: str | None, version: str | None) -> None:
    sent = scope(query)
    caller = Caller(sent)
    assert (sent["query_string"], caller.link, caller.min_version) == (left, link, version)


def test_a_deployments_parameters_stay() -> None:
    sent = scope(b"min_version=1&headrace=2")
    assert Caller(sent, of_preview=False).link is None
    assert sent["query_string"] == b"min_version=1&headrace=2"


@pytest.mark.parametrize(
    ("host", "origin", "foreign"),
    [
        ("shop.preview.localhost:7700", "http://shop.preview.localhost:7700", False),
        ("SHOP.preview.localhost", "https://shop.PREVIEW.localhost", False),
        ("shop.preview.localhost:7700", "http://shop.preview.localhost", True),
        ("shop.preview.localhost", "http://other.preview.localhost", True),
        ("shop.preview.localhost", "null", True),
        ("shop.preview.localhost", "", True),
    ],
)
def test_an_origin_is_its_own_only_when_it_is_the_host(host: str, origin: str, foreign: bool) -> None:
    assert Caller(scope(host=host, origin=origin)).is_foreign is foreign


@pytest.mark.parametrize(
    ("headers", "navigates"),
    [
        ({"accept": "text/html,*/*"}, True),
        ({"accept": "*/*"}, False),
        ({"accept": "text/html", "sec_fetch_mode": "cors"}, False),
        ({"accept": "*/*", "sec_fetch_mode": "navigate"}, True),
    ],
)
def test_going_somewhere_is_not_loading_something(headers: dict[str, str], navigates: bool) -> None:
    assert Caller(scope(**headers)).navigates is navigates
    assert not Caller(scope(b"", "websocket", **headers)).navigates


@pytest.mark.parametrize(
    ("headers", "kind", "of_page"),
    [
        ({}, "http", False),
        ({"accept": "text/html", "referer": "http://shop.preview.localhost/"}, "http", False),
        ({"accept": "*/*", "referer": "http://shop.preview.localhost/"}, "http", True),
        ({"sec_fetch_mode": "cors", "sec_fetch_site": "same-origin"}, "http", True),
        ({"sec_fetch_mode": "navigate", "sec_fetch_site": "cross-site", "origin": "null"}, "http", False),
        ({"sec_fetch_mode": "no-cors", "sec_fetch_site": "none", "referer": "http://elsewhere/"}, "http", False),
        ({"sec_fetch_mode": "no-cors"}, "http", False),
        ({"origin": "http://shop.preview.localhost"}, "websocket", True),
        ({}, "websocket", False),
    ],
)
def test_what_an_open_page_loads_is_no_visit(headers: dict[str, str], kind: str, of_page: bool) -> None:
    assert Caller(scope(b"", kind, **headers)).is_of_open_page is of_page


@pytest.mark.parametrize(
    ("headers", "secure"),
    [
        ({"host": "shop.preview.localhost:7700"}, True),
        ({"host": "shop.preview.example.com"}, False),
        ({"host": "shop.preview.example.com", "x_forwarded_proto": "https"}, True),
        ({"host": "localhost.example.com"}, False),
    ],
)
def test_cookies_are_secure_where_browsers_take_such(headers: dict[str, str], secure: bool) -> None:
    assert Caller(scope(**headers)).is_secure is secure
