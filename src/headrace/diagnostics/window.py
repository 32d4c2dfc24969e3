"""The part of a log that is parsed: its first and last lines, and between them what looks like a mistake."""

from collections import deque
from collections.abc import Iterable

from headrace.diagnostics.ansi import plain
from headrace.diagnostics.base import LogLine

HEAD = 2000
TAIL = 4000

#: A longer line is data, a bundle for example.
_WIDTH = 1000


#: Of the lines between, those that look like a mistake are kept with some that follow: a long log hides its cause there.
_MIDDLE = 2000
_FOLLOW = 12
_SIGNS = ("error", "fail", "cannot", "can't", "not found")


def window(lines: Iterable[LogLine], head: int = HEAD, tail: int = TAIL) -> list[LogLine]:
    """
    The first `head` and the last `tail` lines, and between them what looks like a mistake; plain and shortened. Memory is
    bounded for a log of any length.
    """
    first: list[LogLine] = []
    middle: list[LogLine] = []
    last: deque[LogLine] = deque()
    follow = 0
    for line in lines:
        if len(first) < head:
            first.append(line)
            continue
        last.append(line)
        if len(last) <= tail:
            continue
        passed = last.popleft()
        if len(middle) >= _MIDDLE:
            continue
        if _is_sign(passed.text):
            follow = _FOLLOW
        if follow:
            follow -= 1
            middle.append(passed)
    return [_tidy(line) for line in (*first, *middle, *last)]


def _is_sign(text: str) -> bool:
    lowered = text[:_WIDTH].lower()
    return any(sign in lowered for sign in _SIGNS)


def _tidy(line: LogLine) -> LogLine:
    text = plain(line.text[: 4 * _WIDTH])[:_WIDTH].rstrip()
    return line if text == line.text else LogLine(seq=line.seq, text=text)
