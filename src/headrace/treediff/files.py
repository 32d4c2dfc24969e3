"""The lines that differ in each file of a change."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Literal

from headrace.model.digest import Digest
from headrace.model.value import Value
from headrace.model.version import TreeFile
from headrace.treediff.changes import ChangeSet, FileChange
from headrace.treediff.lines import Match, matching_lines

#: Gives the bytes of a blob.
Read = Callable[[Digest], Awaitable[bytes]]

#: git looks for a NUL in as many bytes.
_BINARY_BYTES = 8000


class DiffLimits(Value):
    #: A larger file is named and not compared.
    file_bytes: int = 1024 * 1024
    #: Beyond as many characters the rest of the files is named and not shown.
    characters: int = 4 * 1024 * 1024
    context: int = 3


DEFAULT_LIMITS = DiffLimits()


class Hunk(Value):
    """
    A piece of a file with its surroundings. Lines begin with a blank (same), `-` (old) or `+` (new), and end as in the file:
    with `\\n`, or without, when the file does. Bytes that are not UTF-8 are shown as U+FFFD.
    """

    old_start: int
    old_lines: int
    new_start: int
    new_lines: int
    lines: tuple[str, ...]


class FileDiff(Value):
    change: FileChange
    #: Why there are no hunks, if something else than the file's mode or name changed.
    omitted: Literal["binary", "too_large", "cut"] | None = None
    hunks: tuple[Hunk, ...] = ()


async def diff_files(changes: ChangeSet, read: Read, limits: DiffLimits = DEFAULT_LIMITS) -> AsyncIterator[FileDiff]:
    """Each file of the change with its hunks. Comparing is done in a thread; one pair of files is in memory at a time."""
    left = limits.characters
    for change in changes.changes:
        if _same_content(change):
            yield FileDiff(change=change)
            continue
        if left <= 0:
            yield FileDiff(change=change, omitted="cut")
            continue
        if any(file is not None and file.size > limits.file_bytes for file in (change.before, change.after)):
            yield FileDiff(change=change, omitted="too_large")
            continue
        old, new = await _content(change.before, read), await _content(change.after, read)
        if b"\0" in old[:_BINARY_BYTES] or b"\0" in new[:_BINARY_BYTES]:
            yield FileDiff(change=change, omitted="binary")
            continue
        hunks = await asyncio.to_thread(compare_texts, old, new, limits.context)
        left -= sum(len(line) for hunk in hunks for line in hunk.lines)
        yield FileDiff(change=change, hunks=tuple(hunks))


def compare_texts(old: bytes, new: bytes, context: int = 3) -> list[Hunk]:
    before, after = _lines(old), _lines(new)
    return list(_hunks(before, after, matching_lines(before, after), context))


def _same_content(change: FileChange) -> bool:
    before, after = change.before, change.after
    return before is not None and after is not None and (before.digest, before.link) == (after.digest, after.link)


async def _content(file: TreeFile | None, read: Read) -> bytes:
    if file is None:
        return b""
    return (file.link or "").encode() if file.digest is None else await read(file.digest)


def _lines(text: bytes) -> list[bytes]:
    """Only a newline ends a line; a carriage return before it belongs to the line."""
    lines = [line + b"\n" for line in text.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _hunks(old: Sequence[bytes], new: Sequence[bytes], matches: Sequence[Match], context: int) -> Iterator[Hunk]:
    edits = list(_edits(len(old), len(new), matches))
    group: list[tuple[int, int, int, int]] = []
    for edit in edits:
        if group and edit[0] - group[-1][1] > 2 * context:
            yield _hunk(old, new, group, context)
            group = []
        group.append(edit)
    if group:
        yield _hunk(old, new, group, context)


def _edits(old: int, new: int, matches: Sequence[Match]) -> Iterator[tuple[int, int, int, int]]:
    """Pieces that differ: from and to in the old text, from and to in the new one."""
    i = j = 0
    for at_old, at_new, length in (*matches, (old, new, 0)):
        if i < at_old or j < at_new:
            yield i, at_old, j, at_new
        i, j = at_old + length, at_new + length


def _hunk(old: Sequence[bytes], new: Sequence[bytes], edits: Sequence[tuple[int, int, int, int]], context: int) -> Hunk:
    lead = min(context, edits[0][0])
    start_old, start_new = edits[0][0] - lead, edits[0][2] - lead
    end_old = min(edits[-1][1] + context, len(old))
    lines: list[str] = []
    at = start_old
    for from_old, to_old, from_new, to_new in edits:
        lines += _marked(" ", old[at:from_old])
        lines += _marked("-", old[from_old:to_old])
        lines += _marked("+", new[from_new:to_new])
        at = to_old
    lines += _marked(" ", old[at:end_old])
    old_lines, new_lines = end_old - start_old, edits[-1][3] + (end_old - edits[-1][1]) - start_new
    # An empty piece is named by the line before it, as everybody who writes unified diffs does.
    return Hunk(
        old_start=start_old + bool(old_lines),
        old_lines=old_lines,
        new_start=start_new + bool(new_lines),
        new_lines=new_lines,
        lines=tuple(lines),
    )


def _marked(mark: str, lines: Sequence[bytes]) -> list[str]:
    return [mark + line.decode(errors="replace") for line in lines]
