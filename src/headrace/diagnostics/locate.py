"""The line of a mistake, looked up in the project's own files where the tool named only the file, or not even that."""

import json
import re
from collections.abc import Callable, Collection

from headrace.diagnostics.base import Found
from headrace.diagnostics.fit import cut
from headrace.merge_conflict import CONFLICT_HINT, conflict_line
from headrace.model.diagnostic import FailureReason

Read = Callable[[str], bytes | None]

#: Larger files are not written by people.
_LARGEST = 2 * 1024 * 1024
#: Files that are compiled before a bundler sees them.
_COMPILED = (".svelte", ".vue", ".astro", ".mdx", ".marko")
_MOST_FILES = 200
#: The path of a repository in an address, also of an archive of it.
_REPOSITORY = re.compile(
    r"(?:https?|ssh|git)://[^\s/'\"]{1,200}/(?P<path>[\w.-]{1,100}(?:/[\w.-]{1,100})?)"
    r"|@github:(?P<short>[\w.-]{1,100}/[\w.-]{1,100})"
)
#: Reasons that a file gives which is not what it should be.
_UNREADABLE = frozenset({FailureReason.SYNTAX_ERROR, FailureReason.CONFIG_ERROR})
#: Not written by people; and JSON in which comments are allowed.
_LOCK, _COMMENTED = "package-lock.json", "tsconfig"


def located(found: Found, files: Collection[str], read: Read) -> Found:
    """The same finding, with file, line, column and excerpt where the text it is about stands in exactly one place."""
    return _with_source(_at_conflict(_placed(found, files, read), read), read)


def about_repository(found: Found) -> Found:
    """A git dependency is looked up by its repository: package.json may write the address in several ways."""
    if found.reason is not FailureReason.GIT_DEPENDENCY_FAILED or found.needle is not None:
        return found
    said = f"{found.diagnostic.message}\n{found.diagnostic.excerpt or ''}"
    match = _REPOSITORY.search(said)
    return found.but(needle=(match["path"] or match["short"]).removesuffix(".git")) if match else found


def _at_conflict(found: Found, read: Read) -> Found:
    """What a merge left in a file is the cause of whatever a tool finds strange about that file."""
    diagnostic = found.diagnostic
    if found.reason not in _UNREADABLE or diagnostic.file is None:
        return found
    line = conflict_line(_text(read, diagnostic.file))
    if line is None:
        return found
    said = diagnostic.message if "conflict" in diagnostic.message.lower() else f"merge conflict ({diagnostic.message})"
    return found.but(
        diagnostic=diagnostic.but(
            message=said,
            line=line,
            column=1,
            excerpt=diagnostic.excerpt if diagnostic.line == line else None,
            hint=CONFLICT_HINT,
        )
    )


def _with_source(found: Found, read: Read) -> Found:
    """The lines around the mistake, when the tool printed none."""
    diagnostic = found.diagnostic
    if diagnostic.excerpt or diagnostic.file is None or diagnostic.line is None:
        return found
    rows = _text(read, diagnostic.file).split("\n")
    if not 0 < diagnostic.line <= len(rows):
        return found
    first, last = max(1, diagnostic.line - 1), min(len(rows), diagnostic.line + 1)
    shown = [
        f"{'>' if number == diagnostic.line else ' '} {number} | {cut(rows[number - 1].rstrip(), 160)}"
        for number in range(first, last + 1)
    ]
    return found.but(diagnostic=diagnostic.but(excerpt="\n".join(shown)))


def _placed(found: Found, files: Collection[str], read: Read) -> Found:
    diagnostic = found.diagnostic
    if diagnostic.line is not None:
        return _counted_in_the_source(found, read)
    if diagnostic.file is None and found.endings:
        return _searched(found, files, read)
    if diagnostic.file is None or not found.needle:
        return found
    place = _first_place(_text(read, diagnostic.file), found.needle)
    if place is None:
        return found
    return found.but(diagnostic=diagnostic.but(line=place[0], column=place[1]))


def _counted_in_the_source(found: Found, read: Read) -> Found:
    """Bundlers count the lines of what a compiler made of a file: the line has to hold what the error is about."""
    diagnostic = found.diagnostic
    imports = found.reason in (FailureReason.MISSING_DEPENDENCY, FailureReason.CASE_MISMATCH)
    if not found.needle or not (imports or (diagnostic.file or "").endswith(_COMPILED)):
        return found
    text, line = _text(read, diagnostic.file or ""), diagnostic.line or 0
    place = _first_place(text, found.needle)
    if place is None or found.needle in "".join(text.split("\n")[line - 1 : line]):
        return found
    return found.but(diagnostic=diagnostic.but(line=place[0], column=place[1], excerpt=None))


def _searched(found: Found, files: Collection[str], read: Read) -> Found:
    places = []
    for path in sorted(path for path in files if path.endswith(found.endings))[:_MOST_FILES]:
        name = path.rpartition("/")[2]
        if name == _LOCK or (not found.needle and name.startswith(_COMMENTED)):
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
    """The first place of `needle` as a word of its own: the program vit is not in "name": "vanilla-vite"."""
    whole = re.search(rf"(?<![\w-]){re.escape(needle)}(?![\w-])", text)
    at = whole.start() if whole else text.find(needle)
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
