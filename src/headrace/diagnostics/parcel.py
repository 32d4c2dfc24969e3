"""Parcel 2: `🚨 Build failed.`, then `@parcel/…: message` with a place and a piece of source."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics import codeframe
from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found

_FAILED = re.compile(r"^(?:🚨|\u00d7) Build failed\.|^🚨 ")
_ORIGIN = re.compile(r"^(?:Error: )?(?P<code>@parcel/[\w-]+|parcel-[\w-]+|@[\w-]+/parcel-[\w-]+): (?P<text>.*)")
_PLACE = re.compile(r"^\s+(?P<file>[^\s:][^:]*\.\w+)(?::(?P<line>\d+)(?::(?P<column>\d+))?)?:?$")


class Parcel:
    tool: ClassVar[str] = "parcel"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        start = next((at for at, line in enumerate(lines) if _FAILED.match(line.text)), None)
        if start is None:
            return ()
        # What a resolver tried stands below the error that it led to.
        heads = [at for at in range(start, min(len(lines), start + 200)) if _ORIGIN.match(lines[at].text)]
        ends = [*heads[1:], min(len(lines), start + 200)]
        blocks = [lines[at:end] for at, end in zip(heads, ends, strict=False)]
        causes = [block for block in blocks if "resolver" not in block[0].text.split(": ")[0]]
        return [_found(block, places) for block in causes or blocks]


def _found(block: Sequence[LogLine], places: Places) -> Found:
    head = _ORIGIN.match(block[0].text)
    assert head is not None  # noqa: S101 - its caller cut there
    file = line = column = None
    for below in block[1:8]:
        if (match := _PLACE.match(below.text)) and (file := places.find(match["file"])):
            line = int(match["line"]) if match["line"] else None
            column = int(match["column"]) if match["column"] else None
            break
    excerpt = codeframe.frame(block, 1, 30)
    return found(
        "parcel",
        head["text"],
        places,
        block[0].seq,
        file=file,
        line=line or (codeframe.marked(excerpt) if file else None),
        column=column,
        code=head["code"],
        excerpt=excerpt,
        context="\n".join(row.text for row in block[1:16]),
    )
