"""The files of a directory that are part of its project, with their digests: looked at as a whole, or only where something happened."""

import errno
import fnmatch
import hashlib
import os
import re
import stat
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from headrace.source._ignore import IGNORE_FILES, Found, list_files
from headrace.sync.paths import refuse_path

#: What editors put beside a file while they save it, or as long as it is open. Nobody means them to be part of a page.
_OF_EDITORS = (
    *(".*.sw[a-p]", ".*.swpx", "4913", "*~"),
    *(".#*", "#*#", ".*.kate-swp", "*___jb_???___", ".goutputstream-*", "*.tmp.[0-9]*", ".DS_Store"),
)
_OF_AN_EDITOR = re.compile("|".join(fnmatch.translate(pattern) for pattern in _OF_EDITORS))

#: A file that changed so shortly before it was read may change again without a trace in its times.
_SETTLED_NS = 1_000_000_000
_TRIES = 20
_RULES = frozenset(map(os.fsdecode, IGNORE_FILES))


class LocalFile(NamedTuple):
    digest: str
    size: int
    executable: bool


class Content(NamedTuple):
    """A file as it was read in one go."""

    data: bytes
    file: LocalFile


class _Seen(NamedTuple):
    facts: tuple[int, ...]
    settled: bool
    file: LocalFile


class LocalFiles:
    """Files are read again only when `stat` says that they changed, or when they are named as touched."""

    def __init__(self, root: Path, *, file_bytes: int) -> None:
        self.root = Path(os.path.realpath(root))
        self._file_bytes = file_bytes
        self.files: dict[str, LocalFile] = {}
        #: Directories whose entries matter, relative to the root; the root is `""`.
        self.directories: frozenset[str] = frozenset()
        #: Files that are not sent, and why.
        self.left_out: dict[str, str] = {}
        self._seen: dict[str, _Seen] = {}
        self._ignored: set[str] = set()

    def scan(self, touched: Collection[str] = ()) -> None:
        """Look at everything. Raises OSError when the directory itself is gone or can't be read."""
        found = self._listed()
        self.directories = frozenset(found.directories)
        self.left_out = dict.fromkeys(found.odd, "only files and links can be part of a project")
        self.files = {}
        wanted = set(found.paths)
        for path in found.paths:
            if not _is_of_an_editor(path):
                self._take(path, wanted, again=path in touched)
        self._seen = {path: seen for path, seen in self._seen.items() if path in self.files}
        self._ignored = {path for path in touched if path not in self.files}

    def look(self, touched: Collection[str]) -> None:
        """Look where something happened; at everything, when it can't be told otherwise what that means."""
        for path in touched:
            if path in self.directories or os.path.basename(path) in _RULES:  # noqa: PTH119 - a text, not a file
                return self.scan(touched)
            # A new name: whether it belongs to the project is known to the ignore files alone.
            if path not in self.files and path not in self._ignored and os.path.lexists(self.root / path):
                if _is_of_an_editor(path):
                    continue
                return self.scan(touched)
        for path in touched:
            self.left_out.pop(path, None)
            if self.files.pop(path, None) is not None:
                self._take(path, self.files, again=True)
        return None

    def read(self, path: str) -> Content | None:
        """The file as it is now; None when it is gone or is left out."""
        try:
            descriptor = os.open(
                self._real(path, self.files), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            )
        except OSError:
            return None
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > self._file_bytes:
                return None
            data = file.readall()
        return Content(data, _file_of(data, status))

    def _listed(self) -> Found:
        # A directory may go while it is walked: a branch is being switched.
        for left in reversed(range(_TRIES)):
            try:
                return list_files(self.root)
            except (FileNotFoundError, NotADirectoryError):
                if not left or not self.root.is_dir():
                    raise
                time.sleep(0.01)
        raise AssertionError

    def _take(self, path: str, known: Collection[str], *, again: bool) -> None:
        if refused := refuse_path(path):
            self.left_out[path] = refused.why
            return
        try:
            status = os.stat(self._real(path, known))  # noqa: PTH116 - thousands of times
        except OSError as exc:
            if exc.errno not in (errno.ENOENT, errno.ENOTDIR):
                self.left_out[path] = exc.strerror or str(exc)
            return
        if status.st_size > self._file_bytes:
            self.left_out[path] = f"it has {status.st_size} bytes; a file may have {self._file_bytes}"
            return
        facts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode)
        seen = self._seen.get(path)
        if seen is None or again or not seen.settled or seen.facts != facts:
            settled = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED_NS
            content = self._read_as(path, status)
            if content is None:
                return
            seen = self._seen[path] = _Seen(facts, settled, content.file)
        self.files[path] = seen.file

    def _read_as(self, path: str, status: os.stat_result) -> Content | None:
        if not stat.S_ISREG(status.st_mode):
            self.left_out[path] = "it is a link to something that is not a file of the project"
            return None
        try:
            data = Path(self.root, path).read_bytes()
        except OSError as exc:
            if exc.errno not in (errno.ENOENT, errno.ENOTDIR):
                self.left_out[path] = exc.strerror or str(exc)
            return None
        return Content(data, _file_of(data, status))

    def _real(self, path: str, known: Collection[str]) -> str:
        """Where the bytes are. A link counts as the file it leads to, as long as that is a file of the project too."""
        whole = f"{self.root}/{path}"
        if not os.path.islink(whole):  # noqa: PTH114 - thousands of times
            return whole
        real = os.path.realpath(whole)
        if os.path.relpath(real, self.root) not in known:
            raise OSError(errno.EXDEV, "it is a link to something that is not a file of the project")
        return real


def _file_of(data: bytes, status: os.stat_result) -> LocalFile:
    return LocalFile(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data), bool(status.st_mode & 0o111))


def _is_of_an_editor(path: str) -> bool:
    return _OF_AN_EDITOR.match(path.rpartition("/")[2]) is not None
