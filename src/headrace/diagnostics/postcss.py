"""PostCSS and Tailwind, by their own commands or inside another tool: `CssSyntaxError: file:3:1: …`."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics import codeframe
from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found
from headrace.model.diagnostic import FailureReason

_ERROR = re.compile(
    r"CssSyntaxError: (?:\[?[\w-]+\]?:? )?(?P<file>[^\s:]+):(?P<line>\d+):(?P<column>\d+): (?P<text>.*)"
)
_UTILITY = re.compile(r"^(?:\W{0,3}(?:\w*Error): )(?P<text>(?:Cannot apply unknown utility class|Can't resolve ').*)")
_TAILWIND = re.compile(r"tailwind", re.IGNORECASE)


class Postcss:
    tool: ClassVar[str] = "postcss"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        for at, line in enumerate(lines):
            if match := _ERROR.search(line.text):
                return [_found(match, lines, at, places)]
            if (match := _UTILITY.match(line.text)) and any(
                _TAILWIND.search(near.text) for near in lines[max(0, at - 10) : at + 20]
            ):
                one = found("tailwind", match["text"], places, line.seq, otherwise=FailureReason.CONFIG_ERROR)
                return [one.but(endings=(".css", ".scss", ".pcss"))]
        return ()


def _found(match: re.Match[str], lines: Sequence[LogLine], at: int, places: Places) -> Found:
    return found(
        "postcss",
        match["text"],
        places,
        lines[at].seq,
        file=places.find(match["file"]),
        line=int(match["line"]),
        column=int(match["column"]),
        excerpt=codeframe.frame(lines, at + 1),
        otherwise=FailureReason.SYNTAX_ERROR,
    )
