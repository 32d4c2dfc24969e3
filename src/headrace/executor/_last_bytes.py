"""
The last that both streams of a command printed, in the order in which it came, in bounded memory.

Standard library only: the supervisor uses it.
"""

from collections import deque

from headrace.loglines import LINE, Stream


class LastBytes:
    """At most `most` bytes; those that came first make room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._data = bytearray()
        #: Lengths, those of stderr negative: a stream that prints a byte at a time must not cost an object for each.
        self._runs: deque[int] = deque()
        #: Streams whose first byte here is not the first of its line.
        self._torn: set[Stream] = set()

    def add(self, stream: Stream, data: bytes) -> None:
        sign = 1 if stream == "stdout" else -1
        self._data += data
        if self._runs and self._runs[-1] * sign > 0:
            self._runs[-1] += sign * len(data)
        else:
            self._runs.append(sign * len(data))
        while len(self._data) > self._most:
            self._drop(len(self._data) - self._most)

    def take(self) -> list[tuple[Stream, bytes]]:
        """
        What is here, with nothing left behind. A stream of which something was dropped begins with a line, unless its first
        one is longer than any line of the log: its rest would say nothing to anybody.
        """
        parts = self._parts()
        for stream in self._torn:
            parts = _from_a_line_on(parts, stream)
        self._data.clear()
        self._runs.clear()
        self._torn.clear()
        return parts

    def _drop(self, size: int) -> None:
        """Take up to so many bytes of the oldest run away."""
        run = self._runs[0]
        stream: Stream = "stdout" if run > 0 else "stderr"
        size = min(size, abs(run))
        if self._data[size - 1] == 0x0A:
            self._torn.discard(stream)
        else:
            self._torn.add(stream)
        # The front of a bytearray goes without a copy of the rest.
        del self._data[:size]
        if size == abs(run):
            self._runs.popleft()
        else:
            self._runs[0] -= size if run > 0 else -size

    def _parts(self) -> list[tuple[Stream, bytes]]:
        parts: list[tuple[Stream, bytes]] = []
        start = 0
        for run in self._runs:
            end = start + abs(run)
            parts.append(("stdout" if run > 0 else "stderr", bytes(self._data[start:end])))
            start = end
        return parts


def _from_a_line_on(parts: list[tuple[Stream, bytes]], stream: Stream) -> list[tuple[Stream, bytes]]:
    kept: list[tuple[Stream, bytes]] = []
    passed, begun = 0, False
    for part in parts:
        if begun or part[0] != stream:
            kept.append(part)
            continue
        end = part[1].find(b"\n")
        passed += len(part[1]) if end < 0 else end + 1
        if passed > LINE:
            return parts
        if end >= 0:
            begun = True
            kept.append((stream, part[1][end + 1 :]))
    return kept if begun else parts
