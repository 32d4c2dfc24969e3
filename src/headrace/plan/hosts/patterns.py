"""Patterns of addresses as other hosts write them, as ours: names, and a star as the last segment."""

import re

from headrace.site.redirects_file import pattern_problem

_NAMED_REST = re.compile(r"(.*/):(\w+)(?:\*|\+|\(\.[*+]\))")
_REST = re.compile(r"(.*/)\(\.[*+]\)")
_BUT_SOME = re.compile(r"/\(\(\?!.*\).*\)|/\(\(\?!.*\)\.\*\)\)?|/\[\^\.\]\+|\^?/\(\?!.*")

#: Longer patterns are not written by people.
_LONGEST = 2000


def from_vercel(source: str) -> tuple[str, str | None] | None:
    """Our pattern and the name of what `*` stands for; None when it can't be said with ours."""
    if len(source) > _LONGEST:
        return None
    if match := _NAMED_REST.fullmatch(source):
        path, name = f"{match[1]}*", match[2]
    elif match := _REST.fullmatch(source):
        path, name = f"{match[1]}*", "1"
    else:
        path, name = source, None
    fine = re.fullmatch(r"/(?:[^():*+?{}\\^$|]|:\w+(?=/|$))*\*?", path) and pattern_problem(path) is None
    return (path, name) if fine else None


def target_from_vercel(to: str, rest: str | None) -> str | None:
    """Our target of a rule; None when it uses something that ours don't have."""
    if rest is not None:
        to = re.sub(rf"(?::{re.escape(rest)}(?:\*|\+)?|\${re.escape(rest)})(?!\w)", ":splat", to)
    return to if not re.search(r"\$\d|:\w+[*+(]|[(){}]", to) else None


def is_everything(source: str) -> bool:
    """Whether a rule is for every address, or for all but some: what single pages are written with."""
    if len(source) > _LONGEST:
        return False
    found = from_vercel(source)
    return (found is not None and found[0] == "/*") or _BUT_SOME.fullmatch(source) is not None
