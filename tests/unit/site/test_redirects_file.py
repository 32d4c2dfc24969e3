from typing import Any

import pytest

from headrace.model.plan import RedirectRule
from headrace.site.redirects_file import MOST_RULES, parse_redirects


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("/old /new", {"path": "/old", "to": "/new"}),
        ("/old\t/new  302", {"path": "/old", "to": "/new", "status": 302}),
        ("/old /new 301!", {"path": "/old", "to": "/new", "force": True}),
        ("/* /index.html 200", {"path": "/*", "to": "/index.html", "status": 200}),
        ("/a https://example.com/b 307", {"path": "/a", "to": "https://example.com/b", "status": 307}),
        ("/f id=:id t=x /i/:id", {"path": "/f", "to": "/i/:id", "query": (("id", ":id"), ("t", "x"))}),
        ("/old /new # because", {"path": "/old", "to": "/new"}),
        ("/a /b#part", {"path": "/a", "to": "/b#part"}),
        ("/nowhere /404.html 404", {"path": "/nowhere", "to": "/404.html", "status": 404}),
    ],
)
def test_a_line_is_a_rule(line: str, rule: dict[str, Any]) -> None:
    assert parse_redirects(line) == ((RedirectRule.model_validate(rule),), [])


@pytest.mark.parametrize("line", ["", "   ", "# /old /new"])
def test_empty_lines_and_comments_are_nothing(line: str) -> None:
    assert parse_redirects(line) == ((), [])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("/old", "does not say where to"),
        ("old /new", "does not begin with a slash"),
        ("https://a.example/* /new", "rules for other hosts"),
        ("/a/*/b /new", "the star is not the last segment"),
        ("/a /b 200 Country=de", "'Country=de' is not supported"),
        ("/a /b 999", "'999' is not supported"),
        ("/api/* https://api.example.com/:splat 200", "another host is not supported"),
        ("/a //evil.example", "would lead to another host"),
        ("/a /a", "leads to itself"),
        ("/a b /c", "'b' is neither a path nor a parameter"),
    ],
)
def test_a_line_that_is_no_rule_is_named_with_its_reason(line: str, why: str) -> None:
    rules, problems = parse_redirects(f"/first /rule\n{line}\n")
    assert len(rules) == 1
    assert problems[0].startswith("_redirects line 2 is ignored: ")
    assert why in problems[0]


def test_there_is_an_end_to_rules() -> None:
    rules, problems = parse_redirects("".join(f"/{i} /x\n" for i in range(MOST_RULES + 1)))
    assert (len(rules), len(problems)) == (MOST_RULES, 1)
