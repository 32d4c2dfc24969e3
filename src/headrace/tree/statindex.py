"""
Remembers the digests of a directory's files by what `stat` says of them, so that only changed files are hashed again.

A file that changed shortly before it was looked at may change once more without a trace in its times. Such files are not
remembered, so they are hashed again the next time.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

import orjson

from headrace.disk import replace_file
from headrace.model.digest import Digest

#: The coarsest file time in use (FAT) has steps of two seconds.
_SETTLED_NS = 2_000_000_000
_FORM = 1

_Entry = tuple[int, int, int, int, int, Digest]


class StatIndex:
    """The index in the file `path`. One that can't be read is empty: it costs time, nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _load(path)
        self._seen: dict[str, _Entry] = {}
        self._settled_before = time.time_ns() - _SETTLED_NS

    def digest(self, path: str, status: os.stat_result) -> Digest | None:
        """The digest of an unchanged file."""
        entry = self._known.get(path)
        if entry is None or entry[:5] != _facts(status):
            return None
        self._seen[path] = entry
        return entry[5]

    def remember(self, path: str, status: os.stat_result, digest: Digest) -> None:
        """`status` is from before the file was read, so that a later change shows."""
        if max(status.st_mtime_ns, status.st_ctime_ns) < self._settled_before:
            self._seen[path] = (*_facts(status), digest)

    def save(self) -> None:
        """Keep what was seen since this index was opened, and forget the rest. A disk that is full is no reason to fail."""
        if self._seen != self._known:
            with suppress(OSError):
                replace_file(self._path, orjson.dumps({"form": _FORM, "files": self._seen}), durable=False)


def _facts(status: os.stat_result) -> tuple[int, int, int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev


def _load(path: Path) -> dict[str, _Entry]:
    try:
        stored = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(stored, dict) or stored.get("form") != _FORM:
        return {}
    files = stored.get("files")
    if not isinstance(files, dict):
        return {}
    return {name: tuple(entry) for name, entry in files.items() if isinstance(entry, list) and len(entry) == 6}
