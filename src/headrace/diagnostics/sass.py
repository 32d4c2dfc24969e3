"""Dart Sass: `Error: …`, a box of source, and `file 3:10  root stylesheet`."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics import codeframe
from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found
from headrace.model.diagnostic import FailureReason

_BOX = re.compile(r"^\s*(?:╷|,)\s*$")
_BOX_END = re.compile(r"^\s*(?:╵|')\s*$")
_PLACE = re.compile(
    r"^\s*(?P<file>\S.*?\.(?:s[ac]ss|css)) (?P<line>\d+):(?P<column>\d+)\s+(?:root stylesheet|@\w+|\w[\w-]*\(\)|\w.*)$"
)
_PREFIX = re.compile(r"^.*?(?:SassError: |\[sass\] |\bError: |(?<=from ).*: )")


class Sass:
    tool: ClassVar[str] = "sass"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        all_found = []
        for at, line in enumerate(lines):
            if at and _BOX.match(line.text):
                end = next((n for n in range(at + 1, min(len(lines), at + 16)) if _BOX_END.match(lines[n].text)), None)
                place = (
                    None
                    if end is None
                    else next((m for row in lines[end + 1 : end + 3] if (m := _PLACE.match(row.text))), None)
                )
                if place and end is not None:
                    all_found.append(_found(lines, at, end, place, places))
        return all_found[:20]


def _found(lines: Sequence[LogLine], at: int, end: int, place: re.Match[str], places: Places) -> Found:
    message = _PREFIX.sub("", lines[at - 1].text.strip()).strip('"')
    shown = codeframe.dedented([line.text for line in lines[at + 1 : end]])
    asked = re.search(r"['\"]([^'\"]+)['\"]", "".join(shown)) if "Can't find stylesheet" in message else None
    return found(
        "sass",
        message,
        places,
        lines[at - 1].seq,
        file=places.find(place["file"]),
        line=int(place["line"]),
        column=int(place["column"]),
        excerpt="\n".join(shown),
        context=f"Could not resolve '{asked[1]}'" if asked else "",
        otherwise=FailureReason.SYNTAX_ERROR,
    )
