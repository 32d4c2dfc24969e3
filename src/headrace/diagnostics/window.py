"""The part of a log that is parsed: its first and its last lines, whatever lies between."""

from collections import deque
from collections.abc import Iterable

from headrace.diagnostics.ansi import plain
from headrace.diagnostics.base import LogLine

HEAD = 2000
TAIL = 4000

#: A longer line is data, a bundle for example.
_WIDTH = 1000


def window(lines: Iterable[LogLine], head: int = HEAD, tail: int = TAIL) -> list[LogLine]:
    """The first `head` and the last `tail` lines, plain and shortened. Memory is bounded for a log of any length."""
    first: list[LogLine] = []
    last: deque[LogLine] = deque(maxlen=tail)
    for line in lines:
        if len(first) < head:
            first.append(line)
        else:
            last.append(line)
    return [_tidy(line) for line in (*first, *last)]


def _tidy(line: LogLine) -> LogLine:
    text = plain(line.text[: 4 * _WIDTH])[:_WIDTH].rstrip()
    return line if text == line.text else LogLine(seq=line.seq, text=text)
