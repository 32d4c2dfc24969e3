"""
Packages as a registry has them, once for each trust scope, named by the SHA-512 that lock files write.

What is kept was hashed while it was copied, and only what a lock file names is given: a file that somebody prepared can be kept
under no other name than its own, and nobody gets it who didn't ask for it by its content.
"""

import hashlib
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from headrace.disk import open_regular, remove_tree
from headrace.errors import HeadraceError
from headrace.layers._entry import stamp
from headrace.model.digest import Digest, digest_of

#: No package of a registry is larger.
_MOST_BYTES = 512 * 1024 * 1024
_CHUNK = 1024 * 1024


class Pool(NamedTuple):
    """All that is kept for one trust scope."""

    digest: Digest
    scope: str
    files: int
    bytes: int
    created_at: str
    used_at: str


class Package(NamedTuple):
    """One that is kept."""

    path: Path
    bytes: int
    used_at: str


class Packages:
    """Safe to use from many processes at once: files appear whole, and what is given away outlives its removal here."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def give(self, scopes: Iterable[str], wanted: Mapping[str, Path]) -> int:
        """
        Put packages, by the hexadecimal SHA-512 of their bytes, where they are wanted; how many there were. They are links to
        what is kept: nobody may be able to write to them. Each is read before: one that was damaged is not given, and goes.
        """
        given = 0
        pools = [self._pool(scope) for scope in scopes]
        for digest, place in wanted.items():
            for pool in pools:
                kept = pool / digest[:2] / digest
                with suppress(FileNotFoundError):
                    if not _is_whole(kept, digest):
                        kept.unlink()
                        continue
                    os.utime(kept)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    os.link(kept, place)
                    given += 1
                    break
        return given

    def keep(self, scope: str, found: Mapping[str, Path]) -> int:
        """
        Keep copies of files that have the SHA-512 they are said to have; how many had. Nothing of them is trusted. They replace what
        is there: whoever fetched a package again was given none, or had found it damaged.
        """
        pool, kept = self._pool(scope), 0
        for digest, file in found.items():
            # What can't be read or kept is fetched again the next time; it costs this build nothing.
            with suppress(OSError, HeadraceError):
                kept += self._copy(file, digest, pool / digest[:2] / digest)
        with suppress(OSError):
            if kept and not (pool / "scope").exists():
                (pool / "scope").write_text(scope)
        return kept

    def pools(self) -> list[Pool]:
        found = []
        for pool in self._directories():
            kept = list(_in(pool))
            if kept:
                with suppress(FileNotFoundError):
                    scope = (pool / "scope").read_text()
                    made = stamp((pool / "scope").stat().st_mtime_ns)
                    used = max(one.used_at for one in kept)
                    found.append(Pool(_digest(scope), scope, len(kept), sum(one.bytes for one in kept), made, used))
        return found

    def all(self) -> list[Package]:
        return [package for pool in self._directories() for package in _in(pool)]

    def remove(self, digest: Digest) -> bool:
        """Remove a pool. False when there is none of this digest."""
        chosen = next((pool for pool in self.pools() if pool.digest == digest), None)
        if chosen is not None:
            remove_tree(self._pool(chosen.scope))
        return chosen is not None

    def _pool(self, scope: str) -> Path:
        return self._root / _digest(scope).removeprefix("sha256:")[:32]

    def _directories(self) -> list[Path]:
        return sorted(self._root.iterdir()) if self._root.is_dir() else []

    def _copy(self, file: Path, digest: str, kept: Path) -> bool:
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside = kept.with_name(f".{secrets.token_hex(8)}")
        seen, size = hashlib.sha512(), 0
        try:
            with open_regular(file) as source, aside.open("xb") as target:
                while size <= _MOST_BYTES and (chunk := source.read(_CHUNK)):
                    seen.update(chunk)
                    size += len(chunk)
                    target.write(chunk)
            if seen.hexdigest() != digest or size > _MOST_BYTES:
                return False
            aside.chmod(0o644)
            aside.rename(kept)
        finally:
            aside.unlink(missing_ok=True)
        return True


def _is_whole(kept: Path, digest: str) -> bool:
    with kept.open("rb") as file:
        return hashlib.file_digest(file, "sha512").hexdigest() == digest


def _in(pool: Path) -> Iterable[Package]:
    for path in pool.glob("[0-9a-f][0-9a-f]/[0-9a-f]*"):
        with suppress(FileNotFoundError):
            about = path.stat()
            yield Package(path, about.st_size, stamp(about.st_mtime_ns))


def _digest(scope: str) -> Digest:
    return digest_of(f"packages of {scope}".encode())
