"""A change as a unified diff with git's headers."""

import re
from collections.abc import Iterator

from headrace.model.digest import digest_of, hex_of
from headrace.model.version import TreeFile
from headrace.treediff.changes import ChangeKind, ChangeSet, FileChange
from headrace.treediff.files import DEFAULT_LIMITS, DiffLimits, FileDiff, Hunk, Read, diff_files

_QUOTED = re.compile(r'[\x00-\x1f"\\\x7f]')
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_NO_NEWLINE = "\n\\ No newline at end of file\n"


async def unified_diff_text(changes: ChangeSet, read: Read, limits: DiffLimits = DEFAULT_LIMITS) -> str:
    """
    Text that `git apply` takes, as long as every file in it is shown: a binary file is only said to differ, and one that is too
    large has a line beginning with `#` in the place of its lines.
    """
    parts = [text async for diff in diff_files(changes, read, limits) for text in _file(diff)]
    return "".join(parts)


def _file(diff: FileDiff) -> Iterator[str]:
    change = diff.change
    if change.before and change.after and _kind(change.before) != _kind(change.after):
        # git, too, shows a file that becomes a link as two: one that goes and one that comes.
        yield from _replaced(diff)
        return
    old, new = _names(change)
    yield f"diff --git {_quoted('a/' + old)} {_quoted('b/' + new)}\n"
    yield from _header(change)
    yield from _body(diff, old if change.before else None, new if change.after else None)


def _replaced(diff: FileDiff) -> Iterator[str]:
    before, after = diff.change.before, diff.change.after
    for file, kind, mark in ((before, ChangeKind.DELETED, "-"), (after, ChangeKind.ADDED, "+")):
        lines = tuple(line for hunk in diff.hunks for line in hunk.lines if line[0] == mark)
        part = FileChange(kind=kind, **{"before" if mark == "-" else "after": file})
        count = (1, len(lines), 0, 0) if mark == "-" else (0, 0, 1, len(lines))
        hunks = (_hunk_of(count, lines),) if lines else ()
        yield from _file(FileDiff(change=part, omitted=diff.omitted, hunks=hunks))


def _hunk_of(count: tuple[int, int, int, int], lines: tuple[str, ...]) -> Hunk:
    return Hunk(old_start=count[0], old_lines=count[1], new_start=count[2], new_lines=count[3], lines=lines)


def _header(change: FileChange) -> Iterator[str]:
    before, after = change.before, change.after
    if before and after:
        if _mode(before) != _mode(after):
            yield f"old mode {_mode(before)}\nnew mode {_mode(after)}\n"
        if before.path != after.path:
            yield f"similarity index 100%\nrename from {_quoted(before.path)}\nrename to {_quoted(after.path)}\n"
    elif after:
        yield f"new file mode {_mode(after)}\n"
    elif before:
        yield f"deleted file mode {_mode(before)}\n"
    if not (before and after and before.digest == after.digest and before.link == after.link):
        same_mode = f" {_mode(after)}" if before and after and _mode(before) == _mode(after) else ""
        yield f"index {_abbreviated(before)}..{_abbreviated(after)}{same_mode}\n"


def _body(diff: FileDiff, old: str | None, new: str | None) -> Iterator[str]:
    names = _quoted(f"a/{old}") if old else "/dev/null", _quoted(f"b/{new}") if new else "/dev/null"
    if diff.omitted == "binary":
        yield f"Binary files {names[0]} and {names[1]} differ\n"
    elif diff.omitted:
        size = max(file.size for file in (diff.change.before, diff.change.after) if file)
        why = (
            f"too large to show: {size} bytes"
            if diff.omitted == "too_large"
            else "not shown: the difference is too long"
        )
        yield f"# {why}\n"
    if diff.hunks:
        # A name with a blank ends with a tab, or readers take the rest of the line for a date.
        marks = ["\t" if " " in name and not name.startswith('"') else "" for name in names]
        yield f"--- {names[0]}{marks[0]}\n+++ {names[1]}{marks[1]}\n"
    for hunk in diff.hunks:
        yield f"@@ -{_range(hunk.old_start, hunk.old_lines)} +{_range(hunk.new_start, hunk.new_lines)} @@\n"
        for line in hunk.lines:
            yield line if line.endswith("\n") else line + _NO_NEWLINE


def _range(start: int, lines: int) -> str:
    return str(start) if lines == 1 else f"{start},{lines}"


def _names(change: FileChange) -> tuple[str, str]:
    return (change.before or change.after or _NOTHING).path, (change.after or change.before or _NOTHING).path


_NOTHING = TreeFile(path="")


def _kind(file: TreeFile) -> bool:
    return file.link is not None


def _mode(file: TreeFile) -> str:
    if file.link is not None:
        return "120000"
    return "100755" if file.executable else "100644"


def _abbreviated(file: TreeFile | None) -> str:
    if file is None:
        return "0" * 12
    return hex_of(file.digest or digest_of((file.link or "").encode()))[:12]


def _quoted(path: str) -> str:
    """A path as git writes it: in quotes with escapes when it has characters that would end it."""
    if not _QUOTED.search(path):
        return path
    return '"' + _QUOTED.sub(lambda found: _SHORT.get(found[0], f"\\{ord(found[0]):03o}"), path) + '"'
