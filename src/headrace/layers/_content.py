"""One digest for all that a layer's tree holds: names, kinds, modes and bytes."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from headrace.model.digest import Digest


def content_digest(tree: Path) -> Digest:
    """Reads every file. Owners and times don't count."""
    seen = hashlib.sha256()
    for path, status in _entries(os.fsencode(tree), b""):
        seen.update(b"%o %d %s\0" % (status.st_mode, len(path), path))
        seen.update(_content(os.path.join(os.fsencode(tree), path), status))  # noqa: PTH118 - names are bytes
    return f"sha256:{seen.hexdigest()}"


def _entries(top: bytes, below: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    with os.scandir(top) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = below + entry.name
        yield path, entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(entry.path, path + b"/")


def _content(path: bytes, status: os.stat_result) -> bytes:
    if stat.S_ISLNK(status.st_mode):
        return hashlib.sha256(os.readlink(path)).digest()  # noqa: PTH115
    if not stat.S_ISREG(status.st_mode):
        return b""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return hashlib.file_digest(file, "sha256").digest()
