"""Errors as Next's development server prints them: of its compilers, and of pages that throw while they are made."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

_COMPILED = re.compile(r"^\s*\u2a2f \.?/?(?P<file>[^\s:][^:]*\.\w+)(?::(?P<line>\d+):(?P<column>\d+))?\s*$")
_THROWN = re.compile(r"^\s*\u2a2f (?P<text>(?:\w*Error\b|Error).*)$")
_FRAME = re.compile(r"^\s+at .*?\(?(?P<file>[^\s()]+?):(?P<line>\d+):(?P<column>\d+)\)?$")
_CODE = re.compile(r"^\s*>?\s*\d* ?\|")
_LONGEST = 30


class NextLog:
    tool: ClassVar[str] = "next"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        found: list[Found] = []
        for at, line in enumerate(lines):
            below = lines[at + 1 : at + _LONGEST]
            end = next((n for n, other in enumerate(below) if "\u2a2f" in other.text), len(below))
            if (compiled := _COMPILED.match(line.text)) and (file := places.find(compiled["file"])):
                place = (file, _number(compiled["line"]), _number(compiled["column"]))
                found.append(_error(_sentence(below[:end]), place, below[:end], line.seq))
            elif thrown := _THROWN.match(line.text):
                found.append(_error(thrown["text"], _thrown_at(below[:end], places), below[:end], line.seq))
        return found


def _error(message: str, place: tuple[str | None, int | None, int | None], below: Sequence[LogLine], seq: int) -> Found:
    syntax = re.search(r"Parsing|Syntax|Expected|Unexpected|Unterminated", message)
    missing = re.search(r"Module not found|Can't resolve", message)
    reason = FailureReason.SYNTAX_ERROR if syntax else FailureReason.COMMAND_FAILED
    code = [line.text for line in below if _CODE.match(line.text)]
    file, line, column = place
    return Found(
        reason=FailureReason.MISSING_DEPENDENCY if missing else reason,
        diagnostic=Diagnostic(
            tool="next",
            severity="error",
            message=re.sub(r"^Error: ", "", message)[:1000],
            file=file,
            line=line,
            column=column,
            excerpt="\n".join(code[:12])[:1200] or None,
            log_seq=seq,
        ),
    )


def _sentence(below: Sequence[LogLine]) -> str:
    """The first lines of the report, up to its piece of code; a general first line is followed by what was expected."""
    said = [line.text.strip() for line in below if line.text.strip() and not _CODE.match(line.text)]
    general = said[:1] and re.match(r"Parsing .* failed|Ecmascript file had an error|.*Syntax Error$", said[0])
    return ": ".join(said[:2]) if general else (said[0] if said else "this file can't be compiled")


def _thrown_at(below: Sequence[LogLine], places: Places) -> tuple[str | None, int | None, int | None]:
    for line in below:
        if (frame := _FRAME.match(line.text)) and (file := places.find(frame["file"])):
            return file, int(frame["line"]), int(frame["column"])
    return None, None, None


def _number(text: str | None) -> int | None:
    return int(text) if text else None
