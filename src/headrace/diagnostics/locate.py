"""The line of a mistake, looked up in the project's own files where the tool named only the file, or not even that."""

import json
from collections.abc import Callable, Collection

from headrace.diagnostics.base import Found

Read = Callable[[str], bytes | None]

#: Larger files are not written by people.
_LARGEST = 2 * 1024 * 1024
_MOST_FILES = 200
_SKIPPED = ("package-lock.json", "tsconfig")


def located(found: Found, files: Collection[str], read: Read) -> Found:
    """The same finding, with file, line and column where the text it is about stands in exactly one place."""
    diagnostic = found.diagnostic
    if diagnostic.line is not None:
        return found
    if diagnostic.file is None and found.endings:
        return _searched(found, files, read)
    if diagnostic.file is None or not found.needle:
        return found
    place = _first_place(_text(read, diagnostic.file), found.needle)
    if place is None:
        return found
    return found.but(diagnostic=diagnostic.but(line=place[0], column=place[1]))


def _searched(found: Found, files: Collection[str], read: Read) -> Found:
    places = []
    for path in sorted(path for path in files if path.endswith(found.endings))[:_MOST_FILES]:
        if path.rpartition("/")[2].startswith(_SKIPPED):
            continue
        text = _text(read, path)
        place = _first_place(text, found.needle) if found.needle else _json_mistake(text)
        if place:
            places.append((path, place))
    if len(places) != 1:
        return found
    path, (line, column) = places[0]
    return found.but(diagnostic=found.diagnostic.but(file=path, line=line, column=column))


def _text(read: Read, path: str) -> str:
    data = read(path)
    return data.decode("utf-8", "replace") if data is not None and len(data) <= _LARGEST else ""


def _first_place(text: str, needle: str) -> tuple[int, int] | None:
    at = text.find(needle)
    if at < 0:
        return None
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _json_mistake(text: str) -> tuple[int, int] | None:
    if not text.strip():
        return None
    try:
        json.loads(text)
    except json.JSONDecodeError as exc:
        return exc.lineno, exc.colno
    except RecursionError:
        return None
    return None
