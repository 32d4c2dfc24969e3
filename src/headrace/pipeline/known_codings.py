"""
Which coded blob belongs to which file, remembered across builds, so that unchanged files are not compressed again.

Nothing is lost when it is: what can't be read is a miss.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import orjson

from headrace.disk import remove_tree, replace_file
from headrace.model.digest import Digest, hex_of, is_digest
from headrace.site.codings import CODERS_VERSION


class KnownCodings:
    """A small file for each coded file, below one directory. Safe in many processes at once."""

    def __init__(self, directory: Path) -> None:
        self._root = directory
        self._directory = directory / CODERS_VERSION

    def find(self, digest: Digest) -> dict[str, Digest] | None:
        """Coding -> coded blob. Empty when none saves anything, None when nobody has tried."""
        try:
            found = orjson.loads(self._path(digest).read_bytes())
        except (OSError, ValueError):
            return None
        if isinstance(found, dict) and all(isinstance(value, str) and is_digest(value) for value in found.values()):
            return found
        return None

    def remember_all(self, codings: Iterable[tuple[Digest, Mapping[str, Digest]]]) -> None:
        for digest, blobs in codings:
            path = self._path(digest)
            with suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                replace_file(path, orjson.dumps(dict(blobs)), durable=False)

    def forget_all_but(self, keep: Collection[Digest]) -> int:
        """Drop what is remembered of other files, and of other versions of the coders; how many were dropped."""
        dropped = 0
        if not self._root.is_dir():
            return 0
        for version in self._root.iterdir():
            if version != self._directory:
                remove_tree(version)
        names = {hex_of(digest) for digest in keep}
        for path in self._directory.glob("*/*"):
            if path.name not in names:
                path.unlink(missing_ok=True)
                dropped += 1
        return dropped

    def _path(self, digest: Digest) -> Path:
        name = hex_of(digest)
        return self._directory / name[:2] / name
