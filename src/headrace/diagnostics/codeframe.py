"""Pieces of source that tools print below an error, in the dozen styles there are."""

import re
from collections.abc import Sequence
from itertools import pairwise

from headrace.diagnostics.base import LogLine

#: `> 3 | code`, `3 │ code`, `| ^`, `╵ ~~~`, `╭─[ file ]`, `·  ──┬──`.
_ROW = re.compile(
    r"^\s*(?:(?P<mark>[>❱\u00d7])?\s*(?P<number>\d{1,7}) ?[|│┃](?P<code>.*)|>?\s*[|│┃╷╵·┆](?:\s.*|[\s^~─┬╰╯]*)?|\^[\^~]*|~+|[╭╰├].*|⋮.*)$"
)
_CARET = re.compile(r"^[\s>]*[|│┃╵·]? *(?P<pointer>[\^~]+|─*┬─*)")
_MOST = 14


def is_code(text: str) -> bool:
    return bool(_ROW.match(text))


def frame(lines: Sequence[LogLine], start: int, within: int = 16) -> str | None:
    """The first piece of source in the lines from `start` on."""
    end = min(len(lines), start + within)
    first = next((at for at in range(start, end) if _number(lines[at].text)), None)
    if first is None:
        return None
    rows: list[str] = []
    for line in lines[first : first + _MOST]:
        if not is_code(line.text):
            break
        rows.append(line.text)
    return "\n".join(dedented(rows)) or None


def marked(excerpt: str | None) -> int | None:
    """The line that a piece of source points to."""
    if not excerpt:
        return None
    rows = excerpt.split("\n")
    for row in rows:
        if (match := _ROW.match(row)) and match["mark"]:
            return int(match["number"])
    for above, row in pairwise(rows):
        numbered = _number(above)
        if numbered and not _number(row) and _CARET.match(row):
            return numbered
    return None


def _number(text: str) -> int | None:
    match = _ROW.match(text)
    return int(match["number"]) if match and match["number"] else None


def dedented(rows: Sequence[str]) -> list[str]:
    depth = min((len(row) - len(row.lstrip()) for row in rows if row.strip()), default=0)
    return [row[depth:].rstrip() for row in rows]
