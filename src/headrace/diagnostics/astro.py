"""Astro: `astro check`'s lines, and its build's errors with a `Location:` or a stack below them."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics import codeframe
from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found
from headrace.model.diagnostic import FailureReason

_CHECK = re.compile(
    r"^(?P<file>\S[^:]*):(?P<line>\d+):(?P<column>\d+) - error (?P<code>ts\(\d+\)|astro\(\d+\)|\S+): ?(?P<text>.*)"
)
_ASTRO = re.compile(r"\[(?:build|vite|content|types|config|astro[\w-]*)\]|\bastro (?:build|v?\d)|astro:build")
_HEAD = re.compile(
    r"^(?:\d\d:\d\d:\d\d )?(?:\[(?:ERROR|error)\] )?(?:\[(?P<code>[A-Z]\w+|vite|vite:[\w-]+|config|build|content|@\w[\w/-]*|[\w-]+)\] ?)(?P<text>\S.*)"
)
_LABEL = re.compile(r"^\s*(?P<label>Location|Stack trace|Hint|Error reference|Caused by|File|file):\s*(?P<rest>.*)$")
_PLACE = re.compile(
    r"(?P<file>(?:file://)?[\w@./\[\]$-]{1,400}\.\w{1,8})(?:\?[^:\s]*)?(?::(?P<line>\d+)(?::(?P<column>\d+))?)?"
)
_STACK = re.compile(r"^\s+at ")


class Astro:
    tool: ClassVar[str] = "astro"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        checked = [
            found(
                "astro",
                match["text"],
                places,
                line.seq,
                file=places.find(match["file"]),
                line=int(match["line"]),
                column=int(match["column"]),
                code=match["code"],
                excerpt=codeframe.frame(lines, at + 1, 4),
                otherwise=FailureReason.TYPE_ERROR,
            )
            for at, line in enumerate(lines)
            if (match := _CHECK.match(line.text))
        ]
        return checked[:40] if checked else _built(lines, places)


def _built(lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
    """The last error that has labels below it: what comes before it is progress."""
    if not any(_ASTRO.search(line.text) for line in lines):
        return ()
    label = next(
        (
            at
            for at, line in enumerate(lines)
            if (match := _LABEL.match(line.text)) and match["label"] in ("Location", "Stack trace", "Hint")
        ),
        None,
    )
    if label is None:
        return ()
    at = next((n for n in range(label - 1, max(-1, label - 16), -1) if _HEAD.match(lines[n].text)), None)
    head = _HEAD.match(lines[at].text) if at is not None else None
    if at is None or head is None:
        return ()
    block = lines[at + 1 : at + 40]
    end = next((n for n, line in enumerate(block) if line.text.startswith("Caused by")), len(block))
    hint = next(
        (
            block[n + 1].text.strip()
            for n, line in enumerate(block[:end])
            if line.text.strip() == "Hint:" and n + 1 < len(block)
        ),
        None,
    )
    file, line, column = _place(block, places)
    code = head["code"]
    return [
        found(
            "astro",
            head["text"],
            places,
            lines[at].seq,
            file=file,
            line=line,
            column=column,
            code=code,
            excerpt=codeframe.frame(block, 0, 30),
            context="\n".join([code or "", *(row.text for row in block[:6])]),
            otherwise=FailureReason.SYNTAX_ERROR if code and "Compiler" in code else FailureReason.COMMAND_FAILED,
            hint=hint,
        )
    ]


def _place(block: Sequence[LogLine], places: Places) -> tuple[str | None, int | None, int | None]:
    for row in block:
        for match in _PLACE.finditer(row.text):
            if file := places.find(match["file"]):
                line, column = match["line"], match["column"]
                return file, (int(line) or None) if line else None, (int(column) or None) if line and column else None
    return None, None, None
