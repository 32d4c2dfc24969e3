"""A change meets the newest version: file by file, and line by line where both changed the same text."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from headrace.model.change import ConflictHunk, ConflictKind, FileConflict, Files
from headrace.model.digest import Digest, digest_of
from headrace.model.version import TreeFile
from headrace.sync.fitting import clashes
from headrace.sync.known_tree import KnownTree
from headrace.sync.merge_lines import MOST_BYTES, is_binary, merge_lines

#: Each costs some milliseconds. Further files that both changed are conflicts.
_MERGES = 200
#: Characters of all hunks together, in an answer that should be read. Further conflicts are named without their lines.
_SHOWN = 200_000

#: Gives the bytes of a file's digest.
Read = Callable[[Digest], Awaitable[bytes]]


@dataclass
class Combined:
    """What the newest tree becomes."""

    #: What differs from the newest tree.
    new: dict[str, TreeFile | None] = field(default_factory=dict)
    #: Bytes that merging made.
    made: dict[Digest, bytes] = field(default_factory=dict)
    conflicts: list[FileConflict] = field(default_factory=list)


async def combine(base: KnownTree, ours: KnownTree, theirs: Files, read: Read) -> Combined:
    """
    `theirs` is what the sender made of files of `base`; `ours` is what the project holds by now, the same object when the sender
    has seen that. `read` gives the bytes of files of all three sides. What the change does not name stays as it is in `ours`.
    """
    done = Combined()
    merges, left = 0, _SHOWN
    for path, theirs_now in theirs.items():
        before, ours_now = base.get(path), ours.get(path)
        if theirs_now in (before, ours_now):
            continue
        if ours_now == before:
            done.new[path] = theirs_now
            continue
        merges += 1
        merged = await _merge(path, before, ours_now, theirs_now, read, done.made, give_up=merges > _MERGES)
        if isinstance(merged, FileConflict):
            left -= sum(len(line) for hunk in merged.hunks for line in (*hunk.base, *hunk.ours, *hunk.theirs))
            done.conflicts.append(merged if left >= 0 else merged.but(hunks=()))
        elif merged != ours_now:
            done.new[path] = merged
    if base is not ours and not done.conflicts:
        done.conflicts += _clashes(done.new, base, ours)
    return done


async def _merge(
    path: str,
    before: TreeFile | None,
    ours: TreeFile | None,
    theirs: TreeFile | None,
    read: Read,
    made: dict[Digest, bytes],
    *,
    give_up: bool,
) -> TreeFile | FileConflict:
    """One file that both sides changed, in different ways."""

    def conflict(why: ConflictKind, hunks: tuple[ConflictHunk, ...] = ()) -> FileConflict:
        digests = [file.digest if file else None for file in (before, ours, theirs)]
        return FileConflict(path=path, why=why, base=digests[0], ours=digests[1], theirs=digests[2], hunks=hunks)

    if ours is None or theirs is None:
        return conflict("deleted_here" if ours is None else "deleted_there")
    if ours.link is not None or (before and before.link is not None):
        return conflict("link")
    # When only one side changed it, that side's counts; when both did, they did the same.
    executable = theirs.executable if before is None or ours.executable == before.executable else ours.executable
    contents = {before.digest if before else None, ours.digest, theirs.digest}
    if len(contents) < 3:
        return (theirs if before and ours.digest == before.digest else ours).but(executable=executable)
    if max(file.size for file in (before, ours, theirs) if file) > MOST_BYTES:
        return conflict("too_large")
    if give_up:
        return conflict("unmerged")
    texts = [await read(digest) if digest else b"" for digest in (before and before.digest, ours.digest, theirs.digest)]
    if any(is_binary(text) for text in texts):
        return conflict("binary")
    merged = await asyncio.to_thread(merge_lines, *texts)
    if merged is None:
        return conflict("unmerged")
    if merged.text is None or before is None:
        return conflict("lines" if before else "both_added", merged.hunks)
    digest = digest_of(merged.text)
    made[digest] = merged.text
    return TreeFile(path=path, digest=digest, size=len(merged.text), executable=executable)


def _clashes(new: Files, base: KnownTree, ours: KnownTree) -> list[FileConflict]:
    """A file here, a directory of the same name there: each side is right by itself, so it is a conflict and no mistake."""
    conflicts = []
    for path in sorted(clashes(new, ours.changed(new))):
        digests = [file.digest if file else None for file in (base.get(path), ours.get(path), new[path])]
        found = FileConflict(path=path, why="directory", base=digests[0], ours=digests[1], theirs=digests[2])
        conflicts.append(found)
    return conflicts
