from typing import Any

import pytest

from headrace.edge.rules import Headers, Matched, Redirects
from headrace.model.plan import HeaderRule, RedirectRule


def redirects(*rules: tuple[Any, ...], force: bool = False) -> Redirects:
    names = ("path", "to", "status", "force", "query")
    return Redirects([RedirectRule.model_validate(dict(zip(names, rule, strict=False))) for rule in rules], force=force)


@pytest.mark.parametrize(
    ("rule", "path", "to"),
    [
        (("/old", "/new"), "old", "/new"),
        (("/old", "/new"), "old/", "/new"),
        (("/old/", "/new"), "old", "/new"),
        (("/old", "https://example.com/x?y=1"), "old", "https://example.com/x?y=1"),
        (("/blog/:slug", "/posts/:slug"), "blog/hello world", "/posts/hello%20world"),
        (("/:y/:m/:slug", "/:slug?y=:y"), "2024/05/a", "/a?y=2024"),
        (("/docs/*", "/manual/:splat"), "docs/a/b", "/manual/a/b"),
        (("/docs/*", "/manual/:splat"), "docs", "/manual/"),
        (("/caf%C3%A9", "/new"), "café", "/new"),
        (("/a", "/:unknown"), "a", "/:unknown"),
        (("/a/:x", "/b/:x"), 'a/x"\r\n<', "/b/x%22%0D%0A%3C"),
    ],
)
def test_a_matching_path_is_sent_where_the_rule_says(rule: tuple[Any, ...], path: str, to: str) -> None:
    found = redirects(rule).match(path, "")
    assert found == Matched(301, to)


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        (("/old", "/new"), "older"),
        (("/old", "/new"), "old/x"),
        (("/blog/:slug", "/x"), "blog"),
        (("/blog/:slug", "/x"), "blog/a/b"),
        (("/docs/*", "/x"), "documents"),
    ],
)
def test_any_other_path_is_not(rule: tuple[Any, ...], path: str) -> None:
    assert redirects(rule).match(path, "") is None


def test_the_first_rule_that_matches_counts_whether_it_has_names_or_not() -> None:
    rules = redirects(("/a/:x", "/1"), ("/a/b", "/2"), ("/c", "/3"), ("/*", "/4"), ("/d", "/5"))
    assert [rules.match(path, "") for path in ("a/b", "c", "d")] == [
        Matched(301, "/1"),
        Matched(301, "/3"),
        Matched(301, "/4"),
    ]


def test_parameters_must_be_there_and_can_be_used() -> None:
    rules = redirects(
        ("/find", "/items/:id", 301, False, [("id", ":id")]), ("/find", "/red", 301, False, [("c", "red")])
    )
    assert rules.match("find", "id=4%202&x=1") == Matched(301, "/items/4%202?id=4%202&x=1")
    assert rules.match("find", "c=red") == Matched(301, "/red?c=red")
    assert rules.match("find", "c=blue") is None


def test_the_visitors_parameters_go_along_unless_the_rule_has_its_own() -> None:
    rules = redirects(("/a", "/b"), ("/c", "/d?own=1"))
    assert rules.match("a", "x=1") == Matched(301, "/b?x=1")
    assert rules.match("c", "x=1") == Matched(301, "/d?own=1")


def test_an_answer_by_rule_names_the_file_as_it_is_called() -> None:
    assert redirects(("/p/:name", "/pages/:name.html", 200)).match("p/a%b ü", "q=1") == Matched(200, "pages/a%b ü.html")


def test_forced_rules_and_the_others_are_apart() -> None:
    rules = (("/a", "/1", 301, True), ("/a", "/2", 301, False))
    assert redirects(*rules, force=True).match("a", "") == Matched(301, "/1")
    assert redirects(*rules).match("a", "") == Matched(301, "/2")


@pytest.mark.timeout(5)
def test_a_rule_made_to_be_slow_is_not() -> None:
    rules = redirects(("/" + ":a/" * 200 + "*", "/x"))
    assert rules.match("a/" * 198 + "b", "") is None
    assert rules.match("a/" * 20_000, "") is not None


def test_headers_of_all_matching_rules_are_set_and_later_ones_win() -> None:
    headers = Headers(
        [
            HeaderRule(path="/*", headers=(("X-A", "1"), ("Cache-Control", "no-store"))),
            HeaderRule(path="/assets/*", headers=(("cache-control", "max-age=9"),)),
        ]
    )
    assert dict(headers.of("x")) == {b"x-a": b"1", b"cache-control": b"no-store"}
    assert dict(headers.of("assets/a.js")) == {b"x-a": b"1", b"cache-control": b"max-age=9"}


@pytest.mark.parametrize(
    "header",
    [("X-A", "1\r\nSet-Cookie: a=b"), ("Content-Length", "1"), ("bad name", "1"), ("X-Headrace-Deployment", "x")],
)
def test_a_header_that_would_break_the_answer_is_dropped(header: tuple[str, str]) -> None:
    assert Headers([HeaderRule(path="/*", headers=(header,))]).of("") == ()
