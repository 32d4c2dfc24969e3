"""What must be written and removed to turn one tree into another, in a sandbox that has the first."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from headrace.model.digest import digest_of
from headrace.model.version import Tree, TreeFile
from headrace.preview.base import Change


@dataclass(frozen=True)
class Difference:
    written: tuple[TreeFile, ...]
    removed: tuple[str, ...]

    @property
    def change(self) -> Change:
        return Change(tuple(file.path for file in self.written), self.removed)

    @property
    def has_links(self) -> bool:
        """Links can't be written into a running sandbox; a new one is started with them."""
        return any(file.link is not None for file in self.written)

    def __len__(self) -> int:
        return len(self.written) + len(self.removed)


def expected(before: Tree, written: Mapping[str, bytes], removed: Collection[str]) -> Difference:
    """The difference that these changes will make. What a new file may be executed, only its version says."""
    old = {file.path: file for file in before.files}
    files = [
        TreeFile(
            path=path,
            digest=digest_of(data),
            size=len(data),
            executable=path in old and old[path].executable,
        )
        for path, data in written.items()
    ]
    return Difference(tuple(files), tuple(sorted(removed)))


def applied(before: Tree, change: Difference) -> Tree:
    """The tree after a change."""
    files = {file.path: file for file in before.files}
    for path in change.removed:
        files.pop(path, None)
    files |= {file.path: file for file in change.written}
    # Made of checked values, and thousands of them may be there.
    return Tree.model_construct(files=tuple(files[path] for path in sorted(files)))


def difference(before: Tree, after: Tree) -> Difference:
    old = {file.path: file for file in before.files}
    written = tuple(file for file in after.files if old.pop(file.path, None) != file)
    now = {file.path for file in after.files}
    return Difference(written, tuple(sorted(path for path in old if path not in now)))
