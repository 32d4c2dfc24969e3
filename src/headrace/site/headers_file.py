"""
`_headers`, as Netlify and Cloudflare Pages read it: a path, and below it the headers of its answers.

    /assets/*
      Cache-Control: public, max-age=31536000, immutable
    /*
      X-Frame-Options: DENY
"""

import re

from headrace.model.plan import HeaderRule
from headrace.site.redirects_file import pattern_problem

MOST_RULES = 500
MOST_HEADERS = 50
LONGEST_VALUE = 4096

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
#: Visible characters, spaces and tabs. Anything else could end the header and begin another.
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

#: The edge's own: what frames the answer, what says which bytes it is, and what protects other sites.
_FRAMING = {"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "via"}
_REPRESENTATION = {"accept-ranges", "age", "content-encoding", "content-range", "date", "etag", "vary"}
_ANSWER = {"allow", "location", "server", "set-cookie", "x-content-type-options"}
_OWNED = _FRAMING | _REPRESENTATION | _ANSWER


def header_problem(name: str, value: str) -> str | None:
    """Why a site can't set this header; None when it can."""
    if not _NAME.fullmatch(name):
        return f"{name!r} is not a header's name"
    if name.lower() in _OWNED or name.lower().startswith(("x-headrace-", "proxy-")):
        return f"{name} is the server's own header"
    if len(value) > LONGEST_VALUE or not _VALUE.fullmatch(value):
        return f"the value of {name} is too long or has control characters"
    return None


def parse_headers(text: str) -> tuple[tuple[HeaderRule, ...], list[str]]:
    """The rules, and a sentence for each line that is not part of one."""
    rules: list[tuple[str, dict[str, str]]] = []
    problems: list[str] = []
    skipping = False
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("/"):
            problem = pattern_problem(line) or (
                f"there are more than {MOST_RULES}" if len(rules) == MOST_RULES else None
            )
            skipping = problem is not None
            if not skipping:
                rules.append((line, {}))
        else:
            problem = None if skipping else _add_header(rules, line)
        if problem:
            problems.append(f"_headers line {number} is ignored: {problem}")
    return tuple(HeaderRule(path=path, headers=tuple(headers.items())) for path, headers in rules if headers), problems


def _add_header(rules: list[tuple[str, dict[str, str]]], line: str) -> str | None:
    name, colon, value = (part.strip() for part in line.partition(":"))
    if not colon:
        return "it is neither a path nor a header"
    if not rules:
        return "no path stands above it"
    headers = rules[-1][1]
    if problem := header_problem(name, value):
        return problem
    if len(headers) == MOST_HEADERS:
        return f"a path has more than {MOST_HEADERS} headers"
    # A name that comes again adds to its value.
    same = next((known for known in headers if known.lower() == name.lower()), name)
    headers[same] = f"{headers[same]}, {value}" if same in headers else value
    return None
