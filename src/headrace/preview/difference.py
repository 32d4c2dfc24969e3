"""What must be written and removed to turn one tree into another, in a sandbox that has the first."""

from dataclasses import dataclass

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


def difference(before: Tree, after: Tree) -> Difference:
    old = {file.path: file for file in before.files}
    written = tuple(file for file in after.files if old.pop(file.path, None) != file)
    now = {file.path for file in after.files}
    return Difference(written, tuple(sorted(path for path in old if path not in now)))
