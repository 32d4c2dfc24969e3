"""
`_redirects`, as Netlify and Cloudflare Pages read it: one rule on each line.

    /old            /new                  # 301
    /blog/:slug     /posts/:slug   302
    /docs/*         /manual/:splat 301!   # also where a file has the path
    /find id=:id    /items/:id     200    # answers with that file
"""

import re

from headrace.model.plan import RedirectRule

MOST_RULES = 2000
_STATUS = re.compile(r"(200|301|302|303|307|308|404)(!?)")
_URL = re.compile(r"https?://[^/\s]+")


def parse_redirects(text: str) -> tuple[tuple[RedirectRule, ...], list[str]]:
    """The rules, and a sentence for each line that is not one."""
    rules: list[RedirectRule] = []
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = _words(line)
        if not words:
            continue
        rule = _rule(words) if len(rules) < MOST_RULES else f"there are more than {MOST_RULES} rules"
        if isinstance(rule, str):
            problems.append(f"_redirects line {number} is ignored: {rule}")
        else:
            rules.append(rule)
    return tuple(rules), problems


def pattern_problem(path: str) -> str | None:
    """Why `path` can't be what a rule matches; None when it can."""
    if not path.startswith("/"):
        return (
            "rules for other hosts are not supported" if _URL.match(path) else f"{path!r} does not begin with a slash"
        )
    if "*" in path and (path.count("*") > 1 or not path.endswith("/*")):
        return f"in {path!r} the star is not the last segment"
    return None


def _words(line: str) -> list[str]:
    words = line.split()
    comment = next((i for i, word in enumerate(words) if word.startswith("#")), len(words))
    return words[:comment]


def _rule(words: list[str]) -> RedirectRule | str:
    path, rest = words[0], words[1:]
    if problem := pattern_problem(path):
        return problem
    query: list[tuple[str, str]] = []
    while rest and not rest[0].startswith("/") and not _URL.match(rest[0]):
        name, equals, value = rest.pop(0).partition("=")
        if not equals:
            return f"{name!r} is neither a path nor a parameter"
        query.append((name, value))
    if not rest:
        return "it does not say where to"
    to, *options = rest
    status, force = 301, False
    if options and (found := _STATUS.fullmatch(options[0])):
        status, force = int(found[1]), bool(found[2])
        options = options[1:]
    if options:
        return f"{options[0]!r} is not supported"
    if status in (200, 404) and not to.startswith("/"):
        return "passing requests on to another host is not supported"
    if to.startswith("//"):
        return f"{to!r} would lead to another host"
    if to == path and not 200 <= status < 300:
        return "it leads to itself"
    return RedirectRule(path=path, to=to, status=status, force=force, query=tuple(query))
