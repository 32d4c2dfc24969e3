"""A tree that is kept in memory to be changed in a few places: no file of it is looked at that a change does not name."""

from bisect import bisect_left
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
        self, files: Mapping[str, TreeFile], paths: Sequence[str], parts: Sequence[bytes], size: int, links: int
    ) -> None:
        self._files = files
        #: Sorted, like the files of a tree.
        self.paths = paths
        #: Of each path the file's canonical form: making 5,000 of them for one that changed would be most of a sync's time.
        self._parts = parts
        self.bytes = size
        self._links = links

    @classmethod
    def of(cls, tree: Tree) -> Self:
        files = {file.path: file for file in tree.files}
        parts = [canonical(file) for file in tree.files]
        size, links = sum(file.size for file in tree.files), sum(file.link is not None for file in tree.files)
        return cls(files, [file.path for file in tree.files], parts, size, links)

    @classmethod
    def empty(cls) -> Self:
        return cls({}, [], [], 0, 0)

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
        files, paths, parts = {**self._files}, [*self.paths], [*self._parts]
        size, links = self.bytes, self._links
        for path, file in new.items():
            old = files.pop(path, None)
            if old is not None:
                size, links = size - old.size, links - (old.link is not None)
            if file is not None:
                files[path] = file
                size, links = size + file.size, links + (file.link is not None)
            if len(new) <= _FEW:
                _put(paths, parts, path, file)
        if len(new) > _FEW:
            paths = sorted(files)
            known = dict(zip(self.paths, self._parts, strict=True))
            parts = [known[path] if path not in new else canonical(files[path]) for path in paths]
        return type(self)(files, paths, parts, size, links)

    def canonical(self) -> bytes:
        """What `headrace.tree.canonical` makes of the tree."""
        return b'{"files":[' + b",".join(self._parts) + b"]}"


def _put(paths: list[str], parts: list[bytes], path: str, file: TreeFile | None) -> None:
    at = bisect_left(paths, path)
    there = at < len(paths) and paths[at] == path
    if file is None:
        if there:
            del paths[at], parts[at]
    elif there:
        parts[at] = canonical(file)
    else:
        paths.insert(at, path)
        parts.insert(at, canonical(file))
