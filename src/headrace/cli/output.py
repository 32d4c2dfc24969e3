"""
Where words go. stdout carries the result (a URL, a table, JSON), stderr everything that people read meanwhile.

Honours NO_COLOR, CI and TERM=dumb: in a pipe, in CI or on a dumb terminal nothing is drawn twice.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from typing import IO, Any

import click

from headrace.model.value import Value

#: Control sequences of terminals: colours and cursor (CSI), titles and links (OSC), and the two-character ones.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")


def can_redraw(stream: IO[str]) -> bool:
    """Whether `stream` is a terminal on which lines may be drawn again."""
    return stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM", "dumb") != "dumb"


def colours(stream: IO[str]) -> bool:
    return can_redraw(stream) and not os.environ.get("NO_COLOR")


def note(text: str) -> None:
    """A line for people, on stderr."""
    click.echo(text, err=True, color=colours(sys.stderr))


def answer(text: str) -> None:
    """The result in words, on stdout, at once: the reader may be a pipe while this process stays."""
    click.echo(text, color=colours(sys.stdout))
    sys.stdout.flush()


def data(value: object) -> None:
    """The result as one JSON value on stdout; on one line unless a person looks."""
    plain = value.model_dump(mode="json", exclude_none=False) if isinstance(value, Value) else value
    answer(json.dumps(plain, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows in columns as wide as their widest cell. Names come from strangers, so they are made printable."""
    cells = [list(head), *[[_clean(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def _clean(cell: object) -> str:
    return "-" if cell is None else printable(str(cell))


def printable(text: str) -> str:
    """Text from a stranger without the sequences and characters that a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in _SEQUENCE.sub("", text).expandtabs(4))


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def seconds(count: float | None) -> str:
    """A duration for people."""
    if count is None:
        return "-"
    if count < 1:
        return f"{count * 1000:.0f} ms"
    if count < 60:
        return f"{count:.1f} s"
    return f"{int(count // 60)} min {int(count % 60)} s"
