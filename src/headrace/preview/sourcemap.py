"""
Source maps, version 3: from a place in what a browser runs back to the place in what somebody wrote.

A map is a tenant's file: it is decoded within bounds, and a broken one is a map that knows nothing.
"""

import json
from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

#: Larger maps aren't looked at: decoding takes about a second for 10 MB of mappings.
MAX_BYTES = 24 * 1024 * 1024
_MOST_SECTIONS = 2_000
_PREFIX = b")]}'"

_DIGITS = {
    ord(letter): value
    for value, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}


class InvalidMap(Exception):
    """These bytes are no source map."""


class Original(NamedTuple):
    """Line and column count from 0, as maps do."""

    source: str
    line: int
    column: int
    name: str | None = None


class SourceMap:
    """Made by `decode`. Lookups are bisections."""

    def __init__(self, parts: "Sequence[_Part]") -> None:
        self._parts = parts
        self._starts = [(part.line, part.column) for part in parts]

    def find(self, line: int, column: int) -> Original | None:
        """Where the code at this place came from; both count from 0. None for what nobody wrote."""
        at = bisect_right(self._starts, (line, column)) - 1
        if at < 0:
            return None
        part = self._parts[at]
        return part.find(line - part.line, column - part.column if line == part.line else column)


def decode(data: bytes) -> SourceMap:
    """Raises InvalidMap."""
    if len(data) > MAX_BYTES:
        raise InvalidMap("the map is too large")
    if data.startswith(_PREFIX):
        data = data.partition(b"\n")[2]
    try:
        document = json.loads(data)
        return SourceMap(_parts_of(document))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as exc:
        raise InvalidMap(str(exc)[:200]) from exc


def _parts_of(document: Mapping[str, Any]) -> "list[_Part]":
    if document.get("version") not in (3, "3"):
        raise InvalidMap("only version 3 is known")
    if "sections" not in document:
        return [_Part(0, 0, document)]
    sections = document["sections"]
    if len(sections) > _MOST_SECTIONS:
        raise InvalidMap("the map has too many sections")
    # A section that is an index itself is not allowed; it has no mappings and finds nothing.
    parts = [
        _Part(int(section["offset"]["line"]), int(section["offset"]["column"]), section["map"])
        for section in sections
        if isinstance(section.get("map"), dict)
    ]
    return sorted(parts, key=lambda part: (part.line, part.column))


class _Part:
    """One map, which begins at `line` and `column` of the whole."""

    def __init__(self, line: int, column: int, document: Mapping[str, Any]) -> None:
        self.line, self.column = line, column
        root = document.get("sourceRoot") or ""
        self._sources = [_joined(str(root), source) for source in document.get("sources", ())]
        self._names = [name if isinstance(name, str) else "" for name in document.get("names", ())]
        #: For each line the number of its first segment; then the fields of all segments.
        self._first = array("l", [0])
        self._columns, self._source, self._lines, self._at, self._name = (array("l") for _ in range(5))
        self._read(str(document.get("mappings", "")).encode("ascii"))

    def find(self, line: int, column: int) -> Original | None:
        if not 0 <= line < len(self._first) - 1:
            return None
        first, end = self._first[line], self._first[line + 1]
        at = bisect_right(self._columns, column, first, end) - 1
        if at < first or not 0 <= (source := self._source[at]) < len(self._sources):
            return None
        found = self._sources[source]
        if found is None or self._lines[at] < 0 or self._at[at] < 0:
            return None
        name = self._name[at]
        return Original(
            found, self._lines[at], self._at[at], self._names[name] if 0 <= name < len(self._names) else None
        )

    def _read(self, mappings: bytes) -> None:
        source = line = at = name = 0
        # The same few differences come again and again.
        known: dict[bytes, tuple[int, ...]] = {}
        for group in mappings.split(b";"):
            column, before, ordered = 0, 0, True
            start = len(self._columns)
            for segment in group.split(b",") if group else ():
                values = known.get(segment)
                if values is None:
                    values = known[segment] = _values(segment)
                if not values:
                    continue
                column += values[0]
                ordered = ordered and column >= before
                before = column
                size = len(values)
                if size >= 4:
                    source, line, at = source + values[1], line + values[2], at + values[3]
                if size >= 5:
                    name += values[4]
                self._columns.append(column)
                self._source.append(source if size >= 4 else -1)
                self._lines.append(line)
                self._at.append(at)
                self._name.append(name if size >= 5 else -1)
            if not ordered:
                self._sort(start)
            self._first.append(len(self._columns))

    def _sort(self, start: int) -> None:
        """Some tools write the segments of a line in disorder."""
        order = sorted(range(start, len(self._columns)), key=self._columns.__getitem__)
        for field in (self._columns, self._source, self._lines, self._at, self._name):
            field[start:] = array("l", [field[index] for index in order])


def _values(segment: bytes) -> tuple[int, ...]:
    """The numbers of one segment: base 64, five bits in each digit, the least first, the sign last of all."""
    values = []
    value = shift = 0
    for letter in segment:
        digit = _DIGITS.get(letter)
        if digit is None or shift > 30:
            raise InvalidMap("the mappings are damaged")
        value |= (digit & 31) << shift
        if digit & 32:
            shift += 5
            continue
        values.append(-(value >> 1) if value & 1 else value >> 1)
        value = shift = 0
    if shift or len(values) not in (0, 1, 4, 5):
        raise InvalidMap("the mappings are damaged")
    return tuple(values)


def _joined(root: str, source: Any) -> str | None:
    if not isinstance(source, str):
        return None
    return f"{root.rstrip('/')}/{source}" if root and not source.startswith("/") and "://" not in source else source
