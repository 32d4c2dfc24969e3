"""
Where words go. stdout carries the result (a URL, a table, JSON), stderr everything that people read meanwhile.

Honours NO_COLOR, CI and TERM=dumb: in a pipe, in CI or on a dumb terminal nothing is drawn twice.
"""

import json
import os
import sys
from collections.abc import Sequence
from typing import IO, Any

import click


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


def confirm(question: str, *, otherwise: str) -> None:
    """Ask before something can't be undone. Without a terminal it raises NeedsInput, which names the option `otherwise`."""
    from headrace.errors import NeedsInput

    if not sys.stdin.isatty():
        raise NeedsInput(f"{question} Nobody can be asked here.", hint=f"say {otherwise}")
    click.confirm(question, abort=True, err=True)


def data(value: object) -> None:
    """The result as one JSON value on stdout; on one line unless a person looks."""
    from headrace.model.value import Value

    shown = value.model_dump(mode="json") if isinstance(value, Value) else value
    answer(json.dumps(shown, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows in columns as wide as their widest cell. Names come from strangers, so they are made printable."""
    cells = [list(head), *[[_clean(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def _clean(cell: object) -> str:
    from headrace.model.text import plain

    return "-" if cell is None else plain(str(cell)).replace("\t", " ").replace("\n", " ")


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
