"""A directory becomes a manifest: every file is opened below its parent's descriptor, without following links."""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from headrace.errors import InvalidInput, TooLarge
from headrace.model.digest import Digest, digest_of
from headrace.model.limits import MIB
from headrace.model.version import Tree, TreeFile
from headrace.tree.paths import check_links, check_path, is_text, shown
from headrace.tree.statindex import StatIndex

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: Bounds open descriptors. Real projects stay below 30.
_DEEPEST = 200
_SMALL = MIB

#: Names that are wanted in a directory, and what is wanted below each; None is everything.
_Wanted = dict[str, "_Wanted | None"]


def snapshot(
    root: Path,
    paths: Sequence[str] | None = None,
    *,
    index: Path | None = None,
    max_files: int = 100_000,
    max_bytes: int = 512 * MIB,
) -> Tree:
    """
    The tree of `root`, or of `paths` in it (files, or directories with all that is in them). What vanishes meanwhile is not part
    of it; empty directories and owners are not either. `index` is a file that remembers digests between calls.

    Raises InvalidInput for entries that no tree can hold (`source.entry_forbidden`, `path.invalid`, `config.symlink_forbidden`),
    TooLarge for more than `max_files` or `max_bytes`.
    """
    scan = _Scan(StatIndex(index) if index else None, max_files, max_bytes)
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        scan.directory(descriptor, "", _wanted(paths) if paths is not None else None, 0)
    finally:
        os.close(descriptor)
    tree = Tree(files=tuple(sorted(scan.files, key=lambda file: file.path)))
    check_links({file.path: file.link for file in tree.files if file.link is not None})
    if scan.index:
        scan.index.save()
    return tree


@contextmanager
def opened_below(root: int, path: str) -> Iterator[int]:
    """A descriptor of the file `path` below the directory `root`. No part of the path may be a link."""
    *directories, name = path.split("/")
    held = [root]
    try:
        for directory in directories:
            held.append(os.open(directory, _DIRECTORY, dir_fd=held[-1]))
        held.append(os.open(name, _FILE, dir_fd=held[-1]))
        yield held[-1]
    finally:
        for descriptor in held[1:]:
            os.close(descriptor)


def _wanted(paths: Sequence[str]) -> _Wanted:
    top: _Wanted = {}
    for path in paths:
        check_path(path)
        *directories, name = path.split("/")
        at: _Wanted | None = top
        for directory in directories:
            # None: all of the directory is wanted anyway.
            at = at.setdefault(directory, {}) if at is not None else None
        if at is not None:
            at[name] = None
    return top


class _Scan:
    def __init__(self, index: StatIndex | None, max_files: int, max_bytes: int) -> None:
        self.files: list[TreeFile] = []
        self.index = index
        self._max_files, self._max_bytes = max_files, max_bytes
        self._bytes = self._entries = 0

    def directory(self, descriptor: int, prefix: str, wanted: _Wanted | None, depth: int) -> None:
        if depth > _DEEPEST:
            raise TooLarge(
                f"{shown(prefix)} is nested deeper than {_DEEPEST} directories", code="source.too_many_files"
            )
        for name in os.listdir(descriptor) if wanted is None else wanted:
            self._count()
            try:
                self._entry(descriptor, prefix + name, name, wanted[name] if wanted else None, depth)
            except FileNotFoundError:
                continue
            except PermissionError as exc:
                raise _forbidden(prefix + name, "it can't be read") from exc

    def _entry(self, parent: int, path: str, name: str, wanted: _Wanted | None, depth: int) -> None:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
            try:
                self.directory(descriptor, f"{path}/", wanted, depth + 1)
            finally:
                os.close(descriptor)
            return
        check_path(path)
        if wanted is not None:
            return  # a file or a link where a directory was: nothing below it is there
        if stat.S_ISREG(status.st_mode):
            self._add(self._file(parent, path, name, status))
        elif stat.S_ISLNK(status.st_mode):
            target = os.readlink(name, dir_fd=parent)
            if not is_text(target):
                raise _forbidden(path, "the target of the link is not UTF-8")
            self._add(TreeFile(path=path, link=target))
        else:
            raise _forbidden(path, "it is a device, a FIFO or a socket")

    def _file(self, parent: int, path: str, name: str, status: os.stat_result) -> TreeFile:
        executable = bool(status.st_mode & stat.S_IXUSR)
        self._bytes += status.st_size
        if self._bytes > self._max_bytes:
            raise TooLarge(f"more than {self._max_bytes} bytes, at {shown(path)}", code="source.too_large")
        digest = self.index.digest(path, status) if self.index else None
        size = status.st_size
        if digest is None:
            digest, size = _hash(parent, path, name)
            if self.index:
                self.index.remember(path, status, digest)
        return TreeFile(path=path, digest=digest, size=size, executable=executable)

    def _add(self, file: TreeFile) -> None:
        self.files.append(file)
        if len(self.files) > self._max_files:
            raise TooLarge(f"more than {self._max_files} files", code="source.too_many_files")

    def _count(self) -> None:
        # Directories count too, with some room: empty ones cost time without becoming files.
        self._entries += 1
        if self._entries > 2 * self._max_files + 1000:
            raise TooLarge(f"more than {2 * self._max_files} files and directories", code="source.too_many_files")


def _hash(parent: int, path: str, name: str) -> tuple[Digest, int]:
    descriptor = os.open(name, _FILE, dir_fd=parent)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _forbidden(path, "it is not a regular file any more")
        if status.st_size <= _SMALL:
            data = os.read(descriptor, status.st_size + 1)
            if len(data) == status.st_size:
                return digest_of(data), len(data)
            os.lseek(descriptor, 0, os.SEEK_SET)  # it grew or shrank just now
        seen, size = hashlib.sha256(), 0
        while piece := os.read(descriptor, _SMALL):
            seen.update(piece)
            size += len(piece)
        return f"sha256:{seen.hexdigest()}", size
    finally:
        os.close(descriptor)


def _forbidden(path: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"{shown(path)} can't be part of a version: {why}",
        code="source.entry_forbidden",
        hint="remove it, or ignore it",
    )
