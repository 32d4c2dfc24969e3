"""A tree that is kept in memory to be changed in a few places: no file of it is looked at that a change does not name."""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from typing import Self

from headrace.model.change import Files
from headrace.model.version import Tree, TreeFile
from headrace.tree import canonical

#: Beyond it, sorting anew is faster than inserting.
_FEW = 64


class KnownTree:
    """Immutable. `changed` makes another one, which shares what is the same."""

    def __init__(
        self, files: Mapping[str, TreeFile], paths: Sequence[str], parts: Mapping[str, bytes], size: int, links: int
    ) -> None:
        self._files = files
        #: Sorted, like the files of a tree.
        self.paths = paths
        #: Path -> the file's part of the canonical form: making 5,000 of them for one that changed would be most of a sync's time.
        self._parts = parts
        self.bytes = size
        self._links = links

    @classmethod
    def of(cls, tree: Tree) -> Self:
        files = {file.path: file for file in tree.files}
        parts = {file.path: canonical(file) for file in tree.files}
        size, links = sum(file.size for file in tree.files), sum(file.link is not None for file in tree.files)
        return cls(files, [file.path for file in tree.files], parts, size, links)

    @classmethod
    def empty(cls) -> Self:
        return cls({}, [], {}, 0, 0)

    def __len__(self) -> int:
        return len(self.paths)

    def get(self, path: str) -> TreeFile | None:
        return self._files.get(path)

    def all(self) -> Sequence[TreeFile]:
        return [self._files[path] for path in self.paths]

    def links(self) -> Mapping[str, str]:
        """Path -> target of every symbolic link."""
        if not self._links:
            return {}
        return {path: file.link for path, file in self._files.items() if file.link is not None}

    def is_directory(self, path: str) -> bool:
        inside = path + "/"
        at = bisect_left(self.paths, inside)
        return at < len(self.paths) and self.paths[at].startswith(inside)

    def above(self, path: str) -> TreeFile | None:
        """The file or link that stands where `path` needs a directory."""
        at = path.rfind("/")
        while at > 0:
            if (file := self._files.get(path[:at])) is not None:
                return file
            at = path.rfind("/", 0, at)
        return None

    def changed(self, new: Files) -> Self:
        files, parts = {**self._files}, {**self._parts}
        size, links = self.bytes, self._links
        for path, file in new.items():
            old = files.pop(path, None)
            parts.pop(path, None)
            if old is not None:
                size, links = size - old.size, links - (old.link is not None)
            if file is not None:
                files[path], parts[path] = file, canonical(file)
                size, links = size + file.size, links + (file.link is not None)
        return type(self)(files, self._paths_after(files, new), parts, size, links)

    def _paths_after(self, files: Mapping[str, TreeFile], new: Files) -> Sequence[str]:
        moved = [path for path in new if (path in files) != (path in self._files)]
        if not moved:
            return self.paths
        if len(moved) > _FEW:
            return sorted(files)
        paths = [*self.paths]
        for path in moved:
            if path in files:
                insort(paths, path)
            else:
                del paths[bisect_left(paths, path)]
        return paths

    def canonical(self) -> bytes:
        """What `headrace.tree.canonical` makes of the tree."""
        return b'{"files":[' + b",".join([self._parts[path] for path in self.paths]) + b"]}"
