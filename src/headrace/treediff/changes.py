"""The files that differ between two trees, known from their digests alone."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum

from headrace.model.value import Value
from headrace.model.version import Tree, TreeFile


class ChangeKind(StrEnum):
    ADDED = "added"
    DELETED = "deleted"
    MODIFIED = "modified"
    #: The same content under another path.
    RENAMED = "renamed"
    #: The same content, executable or no longer.
    MODE = "mode"


class FileChange(Value):
    """One file of a change. `before` is missing for an added file, `after` for a deleted one; their paths differ for a renamed one."""

    kind: ChangeKind
    before: TreeFile | None = None
    after: TreeFile | None = None

    @property
    def path(self) -> str:
        file = self.after or self.before
        return file.path if file else ""


class ChangeSet(Value):
    """What leads from one tree to another, sorted by path."""

    changes: tuple[FileChange, ...] = ()


def compare_trees(before: Tree | None, after: Tree) -> ChangeSet:
    """The change from `before` (nothing, when None) to `after`. Reads no file."""
    old = {file.path: file for file in (before.files if before else ())}
    new = {file.path: file for file in after.files}
    deleted = {path: old[path] for path in old.keys() - new.keys()}
    added = {path: new[path] for path in new.keys() - old.keys()}
    changes = [*_renamed(deleted, added)]
    changes += [FileChange(kind=ChangeKind.DELETED, before=file) for file in deleted.values()]
    changes += [FileChange(kind=ChangeKind.ADDED, after=file) for file in added.values()]
    changes += [_changed(old[path], new[path]) for path in old.keys() & new.keys() if old[path] != new[path]]
    return ChangeSet(changes=tuple(sorted(changes, key=lambda change: change.path)))


def _changed(before: TreeFile, after: TreeFile) -> FileChange:
    same_content = (before.digest, before.link) == (after.digest, after.link)
    return FileChange(kind=ChangeKind.MODE if same_content else ChangeKind.MODIFIED, before=before, after=after)


def _renamed(deleted: dict[str, TreeFile], added: dict[str, TreeFile]) -> Iterator[FileChange]:
    """Pairs of a deleted and an added file with the same content, which are taken out of both."""
    by_content: dict[str, list[TreeFile]] = defaultdict(list)
    for file in _sorted(deleted.values()):
        # Empty files are alike without having anything to do with each other.
        if file.digest is not None and file.size:
            by_content[file.digest].append(file)
    for file in _sorted(added.values()):
        candidates = by_content.get(file.digest or "", [])
        if not candidates:
            continue
        name = file.path.rpartition("/")[2]
        chosen = next((one for one in candidates if one.path.rpartition("/")[2] == name), candidates[0])
        candidates.remove(chosen)
        del deleted[chosen.path], added[file.path]
        yield FileChange(kind=ChangeKind.RENAMED, before=chosen, after=file)


def _sorted(files: Iterable[TreeFile]) -> list[TreeFile]:
    return sorted(files, key=lambda file: file.path)
