"""Where a tool's file name points to: a path of the version, or nothing."""

import difflib
import posixpath
import re
from collections.abc import Collection
from functools import cached_property

_MOST_COMPARED = 30


class Places:
    """
    The files of a version, as tools name them: relative to the command's directory or absolute in some sandbox.
    """

    def __init__(self, files: Collection[str], directory: str = "") -> None:
        self._files = files if isinstance(files, set | frozenset | dict) else frozenset(files)
        self.directory = directory
        #: Names compared letter by letter so far: that is slow, and the first few mistakes matter.
        self._compared = 0

    def find(self, name: str) -> str | None:
        """The path of the version that a tool calls `name`, or None when it is none."""
        name = name.strip().strip("\"'`")
        name = re.sub(r"^(?:file://|webpack:///|rollup:)", "", name).split("?")[0]
        if not name or len(name) > 4096 or "\0" in name:
            return None
        if name.startswith("/"):
            return self._absolute(name)
        below = posixpath.normpath(posixpath.join(self.directory, name))
        if below in self._files:
            return below
        plain = posixpath.normpath(name)
        return plain if plain in self._files else self._in_a_member(plain)

    def below(self, folder: str) -> list[str]:
        """The files of the version in `folder`, a path from the command's directory that ends in a slash."""
        start = posixpath.normpath(posixpath.join(self.directory, folder)) + "/"
        return [path for path in self._sorted if path.startswith(start)]

    def near(self, missing: str, importer: str | None) -> str | None:
        """A file of the version whose name is much like the one an import in `importer` asks for."""
        wanted = self._wanted(missing, importer)
        stem = _stem(wanted)
        if same := self._by_stem.get(stem.lower()):
            return same
        if self._compared >= _MOST_COMPARED:
            return None
        self._compared += 1
        folder = posixpath.dirname(wanted)
        siblings = {_bare(path): path for path in self._sorted if posixpath.dirname(path) == folder}
        close = difflib.get_close_matches(_bare(wanted), list(siblings)[:2000], n=1, cutoff=0.8)
        return siblings[close[0]] if close else None

    def differs_in_case(self, path: str, missing: str, importer: str | None) -> bool:
        """Whether `path` is what an import asks for, in other letters."""
        stem, wanted = _stem(path), _stem(self._wanted(missing, importer))
        return stem != wanted and stem.lower() == wanted.lower()

    def _wanted(self, missing: str, importer: str | None) -> str:
        base = posixpath.dirname(importer) if importer else self.directory
        return posixpath.normpath(posixpath.join(base, missing)).lstrip("/")

    def _in_a_member(self, name: str) -> str | None:
        """A member of a repository is built in its own directory: the only file of the version that ends in `name`."""
        if "/" not in name or name.startswith("..") or "node_modules" in name:
            return None
        ending = f"/{name}"
        found = [path for path in self._by_name.get(posixpath.basename(name), ()) if path.endswith(ending)]
        return found[0] if len(found) == 1 else None

    def _absolute(self, name: str) -> str | None:
        """Sandboxes differ in where the project lies; the longest end of the path that is a file of the version is it."""
        parts = [part for part in posixpath.normpath(name).split("/") if part]
        if "node_modules" in parts:
            return None
        for cut in range(len(parts)):
            end = "/".join(parts[cut:])
            if end in self._files:
                return end
        return None

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self._files)[:20_000]

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self._sorted:
            found.setdefault(posixpath.basename(path), []).append(path)
        return found

    @cached_property
    def _by_stem(self) -> dict[str, str]:
        return {_stem(path).lower(): path for path in reversed(self._sorted)}


_ENDINGS = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".mts", ".cjs", ".vue", ".svelte", ".astro")


def _stem(path: str) -> str:
    """The path without what people leave out of imports."""
    return _bare(path).removesuffix("/index")


def _bare(path: str) -> str:
    bare, ending = posixpath.splitext(path)
    return bare if ending in _ENDINGS else path
