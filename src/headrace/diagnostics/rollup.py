"""Rollup's own command: `[!] RollupError: …` with a place and a piece of source below it."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics import codeframe
from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found
from headrace.model.diagnostic import FailureReason

_HEAD = re.compile(r"^\[!\] (?:\(plugin (?P<plugin>[^)]+)\) )?(?P<text>\S.*)")
_NAMED = re.compile(r"^(?:\[?\w*Error\]?: )+")
_PLACE = re.compile(r"^(?P<file>[^\s:(][^:(]*\.\w+) ?(?:[(:](?P<line>\d+):(?P<column>\d+)\)?)?:?$")
_INLINE = re.compile(r"(?<![\w./-])(?P<file>[\w@./-]{1,300}\.\w{1,8}) ?[(:](?P<line>\d+):(?P<column>\d+)\)?")
_TYPED = re.compile(r"(?P<code>TS\d+): (?P<text>.*)")
_STACK = re.compile(r"^\s+at ")


class Rollup:
    tool: ClassVar[str] = "rollup"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        for at, line in enumerate(lines):
            if match := _HEAD.match(line.text):
                return [_found(match, lines, at, places)]
        return ()


def _found(match: re.Match[str], lines: Sequence[LogLine], at: int, places: Places) -> Found:
    below = [line for line in lines[at + 1 : at + 30] if not _STACK.match(line.text)]
    message = re.sub(r"^\[plugin [^\]]+\] ", "", _NAMED.sub("", match["text"]))
    file, number, column = _place([match["text"], *(line.text for line in below)], places)
    message = _INLINE.sub("", message, count=1).lstrip(": ") if message.startswith((file or "\0", "./")) else message
    if column is not None and match["plugin"] is None:
        # Rollup counts columns from 0; plugins say what their tools say.
        column += 1
    if typed := _TYPED.search(message):
        return _of_typescript(typed, file, number, column, lines[at].seq, places)
    return found(
        "rollup",
        message,
        places,
        lines[at].seq,
        file=file,
        line=number,
        column=column,
        code=match["plugin"],
        excerpt=codeframe.frame(below, 0),
        context=match["text"],
    )


def _of_typescript(
    typed: re.Match[str], file: str | None, line: int | None, column: int | None, seq: int, places: Places
) -> Found:
    config = file is None and typed["code"].startswith(("TS5", "TS6", "TS18"))
    return found(
        "rollup",
        typed["text"],
        places,
        seq,
        file=places.find("tsconfig.json") if config else file,
        line=line,
        column=column,
        code=typed["code"],
        otherwise=FailureReason.CONFIG_ERROR if config else FailureReason.TYPE_ERROR,
    ).but(needle=_quoted(typed["text"]) if config else None)


def _quoted(text: str) -> str | None:
    match = re.search(r"'([^']+)'", text)
    return f'"{match[1]}"' if match else None


def _place(texts: Sequence[str], places: Places) -> tuple[str | None, int | None, int | None]:
    for text in texts:
        placed = _PLACE.match(text.strip()) or _INLINE.search(text)
        if placed and (file := places.find(placed["file"])):
            line, column = placed["line"], placed["column"]
            return file, int(line) if line else None, int(column) if column else None
    return None, None, None
