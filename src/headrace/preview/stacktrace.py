"""Stack traces as browsers write them: Chromium's, Firefox's and Safari's form, line by line."""

import re
from typing import NamedTuple

_NUMBERS = re.compile(r":(?P<line>[0-9]{1,9})(?::(?P<column>[0-9]{1,9}))?$")
_LONGEST_LINE = 2_000
_MOST_LINES = 200


class Frame(NamedTuple):
    """Line and column count from 1, as all browsers do."""

    function: str | None
    url: str
    line: int
    column: int | None = None


def frames_of(stack: str, most: int = 30) -> list[Frame]:
    """The frames that name a script, the innermost first. What is no frame (a message, native code) is left out."""
    found: list[Frame] = []
    for line in stack.split("\n", _MOST_LINES)[:_MOST_LINES]:
        if len(found) == most:
            break
        if frame := _frame(line[:_LONGEST_LINE].strip()):
            found.append(frame)
    return found


def _frame(line: str) -> Frame | None:
    function, place = _chromium(line) if line.startswith("at ") else _others(line)
    numbers = _NUMBERS.search(place)
    if numbers is None:
        return None
    url = place[: numbers.start()]
    # Code that was made while running has a place like `http://… line 3 > eval`: no script of its own.
    if not url.startswith(("http://", "https://")) or " " in url or ")" in url:
        return None
    return Frame(_name(function), url, int(numbers["line"]), int(numbers["column"] or 0) or None)


def _chromium(line: str) -> tuple[str, str]:
    """`at run (http://…:1:2)`, `at async Promise.all (index 0)`, `at http://…:1:2`"""
    rest = line.removeprefix("at ")
    if rest.endswith(")") and " (" in rest:
        function, _, place = rest[:-1].rpartition(" (")
        return function, place
    return "", rest.removeprefix("async ")


def _others(line: str) -> tuple[str, str]:
    """`run@http://…:1:2`, `async*run@http://…:1:2`, `http://…:1:2`"""
    if line.startswith(("http://", "https://")):
        return "", line
    function, _, place = line.partition("@")
    return function, place


def _name(function: str) -> str | None:
    name = re.sub(r"^(?:async\*|async |promise callback\*)", "", function).partition(" [as ")[0]
    return name if name not in ("", "<anonymous>", "global code", "module code") else None
