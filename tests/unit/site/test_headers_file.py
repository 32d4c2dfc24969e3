import pytest

from headrace.model.plan import HeaderRule
from headrace.site.headers_file import parse_headers

FILE = """
# all pages
/*
  X-Frame-Options: DENY
  Link: </a.css>; rel=preload
  Link: </b.css>; rel=preload

/assets/*
  Cache-Control: public, max-age=60
/empty
"""


def test_headers_stand_below_their_path_and_repeated_ones_are_joined() -> None:
    rules, problems = parse_headers(FILE)
    assert problems == []
    assert rules == (
        HeaderRule(
            path="/*",
            headers=(("X-Frame-Options", "DENY"), ("Link", "</a.css>; rel=preload, </b.css>; rel=preload")),
        ),
        HeaderRule(path="/assets/*", headers=(("Cache-Control", "public, max-age=60"),)),
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("no header", "neither a path nor a header"),
        ("Content-Length: 1", "the server's own header"),
        ("set-cookie: a=b", "the server's own header"),
        ("X-Headrace-Deployment: x", "the server's own header"),
        ("Bad Name: x", "is not a header's name"),
        ("X-A: a\x01b", "control characters"),
        ("X-A: " + "a" * 5000, "too long"),
        ("/a/*/b", "the star is not the last segment"),
    ],
)
def test_a_line_that_is_no_header_is_named_with_its_reason(line: str, why: str) -> None:
    rules, problems = parse_headers(f"/*\n  X-Ok: yes\n  {line}\n")
    assert rules == (HeaderRule(path="/*", headers=(("X-Ok", "yes"),)),)
    assert problems[0].startswith("_headers line 3 is ignored: ")
    assert why in problems[0]


def test_a_header_without_a_path_is_ignored_and_one_below_a_bad_path_too() -> None:
    assert parse_headers("X-A: 1\n") == ((), ["_headers line 1 is ignored: no path stands above it"])
    rules, problems = parse_headers("/ok\n  X-A: 1\n/a*\n  X-B: 2\n")
    assert rules == (HeaderRule(path="/ok", headers=(("X-A", "1"),)),)
    assert len(problems) == 1
