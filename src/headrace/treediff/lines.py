"""
Which lines of two texts are the same.

Lines that are there once on both sides hold the texts together (the patience method, which people find easy to read); what is
between them is compared by Myers' method, as far as a budget of steps reaches. Beyond it, a piece counts as replaced. So the time
is bounded by the length of the texts, unlike that of difflib, which is quadratic and worse.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

#: Equal lines: first line in the old text, first line in the new one, how many.
Match = tuple[int, int, int]

_STEPS = 2_000_000
_EDITS = 1_000
_DEPTH = 64


def matching_lines(old: Sequence[bytes], new: Sequence[bytes], *, steps: int = _STEPS) -> list[Match]:
    """Pieces of `old` that are in `new` too, in order on both sides, none next to another."""
    numbers: dict[bytes, int] = {}
    a = [numbers.setdefault(line, len(numbers)) for line in old]
    b = [numbers.setdefault(line, len(numbers)) for line in new]
    return list(_joined(_Comparison(a, b, steps).pairs()))


def _joined(pairs: Iterator[tuple[int, int]]) -> Iterator[Match]:
    start: tuple[int, int] | None = None
    length = 0
    for i, j in pairs:
        if start and (i, j) == (start[0] + length, start[1] + length):
            length += 1
            continue
        if start:
            yield (*start, length)
        start, length = (i, j), 1
    if start:
        yield (*start, length)


class _Comparison:
    def __init__(self, a: Sequence[int], b: Sequence[int], steps: int) -> None:
        self._a, self._b = a, b
        self._left = steps

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Numbers of equal lines, rising."""
        # A stack instead of recursion: pieces are taken from the front, and split again and again.
        waiting = [(0, len(self._a), 0, len(self._b), 0)]
        while waiting:
            low_a, high_a, low_b, high_b, depth = waiting.pop()
            while low_a < high_a and low_b < high_b and self._a[low_a] == self._b[low_b]:
                yield low_a, low_b
                low_a, low_b = low_a + 1, low_b + 1
            if low_a == high_a or low_b == high_b:
                continue
            tail = 0
            while (
                high_a - tail > low_a
                and high_b - tail > low_b
                and self._a[high_a - tail - 1] == self._b[high_b - tail - 1]
            ):
                tail += 1
            if tail:
                waiting.append((high_a - tail, high_a, high_b - tail, high_b, depth))
                waiting.append((low_a, high_a - tail, low_b, high_b - tail, depth))
                continue
            anchors = self._anchors(low_a, high_a, low_b, high_b) if depth < _DEPTH else []
            if not anchors:
                yield from self._myers(low_a, high_a, low_b, high_b)
                continue
            bounds = [*anchors, (high_a, high_b)]
            pieces = [(low_a, bounds[0][0], low_b, bounds[0][1], depth + 1)]
            pieces += [(i, k, j, m, depth + 1) for (i, j), (k, m) in pairwise(bounds)]
            waiting.extend(reversed(pieces))

    def _anchors(self, low_a: int, high_a: int, low_b: int, high_b: int) -> list[tuple[int, int]]:
        """Lines that are there once in each piece, as many as keep their order."""
        once_a = _once(self._a, low_a, high_a)
        once_b = _once(self._b, low_b, high_b)
        common = sorted((once_a[line], once_b[line]) for line in once_a.keys() & once_b.keys())
        return _longest_rising(common)

    def _myers(self, low_a: int, high_a: int, low_b: int, high_b: int) -> Iterator[tuple[int, int]]:
        # Lines that only one side has can't match; without them little is left to compare.
        both = set(self._a[low_a:high_a]) & set(self._b[low_b:high_b])
        rows = [i for i in range(low_a, high_a) if self._a[i] in both]
        columns = [j for j in range(low_b, high_b) if self._b[j] in both]
        a, b = [self._a[i] for i in rows], [self._b[j] for j in columns]
        for i, j in self._shortest(a, b):
            yield rows[i], columns[j]

    def _shortest(self, a: Sequence[int], b: Sequence[int]) -> list[tuple[int, int]]:
        """Pairs of one of the shortest ways from `a` to `b`; none when it takes more edits or steps than there are left."""
        trace: list[list[int]] = []
        for edits in range(min(len(a) + len(b), _EDITS) + 1):
            # How far each diagonal is reached with so many edits, from the lowest diagonal to the highest.
            reached: list[int] = []
            for number in range(edits + 1):
                i, _ = _step(trace[-1] if trace else [], edits, number)
                diagonal = 2 * number - edits
                start = i
                while i < len(a) and i - diagonal < len(b) and a[i] == b[i - diagonal]:
                    i += 1
                self._left -= 1 + i - start
                reached.append(i)
                if i >= len(a) and i - diagonal >= len(b):
                    return _walk_back(trace, len(a), len(b))
            if self._left < 0:
                break
            trace.append(reached)
        return []


def _step(before: Sequence[int], edits: int, number: int) -> tuple[int, bool]:
    """Where the diagonal of this number is entered, and whether from above, by a line that is new."""
    if edits == 0:
        return 0, False
    if number == 0 or (number != edits and before[number - 1] < before[number]):
        return before[number], True
    return before[number - 1] + 1, False


def _walk_back(trace: Sequence[Sequence[int]], i: int, j: int) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for edits in range(len(trace), -1, -1):
        entered, is_new = _step(trace[edits - 1] if edits else [], edits, (i - j + edits) // 2)
        while i > entered:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        if is_new:
            j -= 1
        else:
            i -= 1
    return pairs[::-1]


def _once(lines: Sequence[int], low: int, high: int) -> dict[int, int]:
    counts = Counter(lines[low:high])
    return {lines[at]: at for at in range(low, high) if counts[lines[at]] == 1}


def _longest_rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of `pairs`, which rise in their first number, that rises in the second too."""
    ends: list[int] = []
    tops: list[int] = []
    before: list[int] = []
    for number, (_, j) in enumerate(pairs):
        at = bisect_left(ends, j)
        before.append(tops[at - 1] if at else -1)
        if at == len(ends):
            ends.append(j)
            tops.append(number)
        else:
            ends[at], tops[at] = j, number
    found: list[tuple[int, int]] = []
    at = tops[-1] if tops else -1
    while at >= 0:
        found.append(pairs[at])
        at = before[at]
    return found[::-1]
