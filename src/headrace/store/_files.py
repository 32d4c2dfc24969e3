"""
Large blobs: files named by their digest below one directory.

A blob is written in `incoming/`, flushed, then renamed to its name, and the directory flushed: after a power cut it is there
whole or not at all. Every method is safe in many threads and processes at once.
"""

# With thousands of blobs a Path for each costs more than the system calls.
# ruff: noqa: PTH104, PTH108, PTH116

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from headrace.disk import open_regular, start_writing, storage_errors, sync_directory
from headrace.errors import CorruptBlob, NotFound
from headrace.model.digest import Digest, digest_of, hex_of
from headrace.store.base import BlobFile

PIECE = 1024 * 1024
PREFIXES = tuple(f"{number:02x}" for number in range(256))
#: A batch shares one wait for the disk. Bounded by open descriptors and by memory.
_BATCH_BLOBS = 128
_BATCH_BYTES = 16 * PIECE
#: Unfinished files older than this belong to processes that are gone.
_STALE_SECONDS = 24 * 3600
#: File times come from a clock that lags behind `time.time` by some milliseconds.
_CLOCK_SLACK_SECONDS = 1.0


class BlobDirectory:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._root = f"{directory}/"
        self._incoming = directory / "incoming"
        self._ready = False

    def _path(self, digest: Digest) -> str:
        name = hex_of(digest)
        return f"{self._root}{name[:2]}/{name}"

    def size(self, digest: Digest) -> int | None:
        try:
            return os.stat(self._path(digest)).st_size
        except FileNotFoundError:
            return None

    def open(self, digest: Digest) -> int:
        try:
            return os.open(self._path(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"{digest} is not stored") from None

    def read(self, digest: Digest) -> bytes:
        descriptor = self.open(digest)
        try:
            data = _read_all(descriptor)
            if digest_of(data) != digest:
                raise self._corrupt(digest, descriptor)
        finally:
            os.close(descriptor)
        return data

    def put_all(self, blobs: Iterable[bytes]) -> list[Digest]:
        digests: list[Digest] = []
        with storage_errors():
            self._make_directories()
            for batch in _batches(blobs):
                named = [(digest_of(blob), blob) for blob in batch]
                digests += [digest for digest, _ in named]
                self._put_batch({digest: blob for digest, blob in named if not self.is_there(digest, len(blob))})
        return digests

    def _put_batch(self, blobs: dict[Digest, bytes]) -> None:
        written: list[tuple[int, str, Digest]] = []
        try:
            for digest, blob in blobs.items():
                aside, descriptor = self._create()
                written.append((descriptor, aside, digest))
                _write_all(descriptor, blob)
                start_writing(descriptor)
            self._publish(written)
        finally:
            self._discard(written)

    def put_file(self, file: Path | int, expected: Digest | None) -> Digest:
        with storage_errors(), open_regular(file) as source:
            if expected is not None and self.is_there(expected, os.fstat(source.fileno()).st_size):
                # Read all the same: knowing a digest is not having the file.
                _check(expected, f"sha256:{hashlib.file_digest(source, 'sha256').hexdigest()}")
                return expected
            self._make_directories()
            aside, descriptor = self._create()
            try:
                digest = _copy(source.fileno(), descriptor)
                _check(expected, digest)
                self._publish([(descriptor, aside, digest)])
            finally:
                self._discard([(descriptor, aside, "")])
        return digest

    def _create(self) -> tuple[str, int]:
        aside = f"{self._root}incoming/{secrets.token_hex(16)}"
        return aside, os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)

    def _publish(self, written: Sequence[tuple[int, str, Digest]]) -> None:
        # Bytes before names: a name in front of bytes that a power cut took would be a corrupt blob.
        for descriptor, _, _ in written:
            os.fsync(descriptor)
        for _, aside, digest in written:
            os.rename(aside, self._path(digest))
        for prefix in {hex_of(digest)[:2] for _, _, digest in written}:
            sync_directory(self._directory / prefix)

    def _discard(self, written: Sequence[tuple[int, str, Digest]]) -> None:
        for descriptor, aside, _ in written:
            os.close(descriptor)
            with suppress(FileNotFoundError):
                os.unlink(aside)

    def is_there(self, digest: Digest, size: int) -> bool:
        """Whether the blob need not be written. Marks it as put now. One of a wrong size is written again."""
        path = self._path(digest)
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        return self.size(digest) == size

    def write_files(self, files: Sequence[BlobFile]) -> None:
        for file in files:
            source = self.open(file.digest)
            try:
                with storage_errors():
                    self._copy_verified(source, file)
            finally:
                os.close(source)

    def _copy_verified(self, source: int, file: BlobFile) -> None:
        target = _create_new(file)
        try:
            copied = _copy(source, target)
        finally:
            os.close(target)
        if copied != file.digest:
            os.unlink(file.path)
            raise self._corrupt(file.digest, source)

    def _corrupt(self, digest: Digest, descriptor: int) -> CorruptBlob:
        bad = os.fstat(descriptor).st_ino
        self._take_away(digest, lambda status: status.st_ino == bad)
        return CorruptBlob(f"{digest} does not have its bytes any more; it was dropped")

    def delete(self, digest: Digest, unless_put_since: float | None) -> None:
        limit = _limit(unless_put_since)
        self._take_away(digest, lambda status: status.st_mtime < limit)

    def put_before(self, digest: Digest, since: float | None) -> bool:
        """Whether `delete` would remove it."""
        try:
            return os.stat(self._path(digest)).st_mtime < _limit(since)
        except FileNotFoundError:
            return True

    def _take_away(self, digest: Digest, condition: Callable[[os.stat_result], bool]) -> None:
        """
        Remove a blob if `condition` holds for it. It is moved aside before it is looked at, because another process may put a
        good blob in place of a bad one at any time; a writer that misses it meanwhile writes it again, which is harmless.
        """
        path, aside = self._path(digest), f"{self._root}incoming/{secrets.token_hex(16)}"
        try:
            if not condition(os.stat(path)):
                return
            os.rename(path, aside)
        except FileNotFoundError:
            return
        if not condition(os.stat(aside)):
            os.rename(aside, path)
            return
        os.unlink(aside)

    def listed(self, prefixes: Iterable[str]) -> list[tuple[Digest, int]]:
        found: list[tuple[Digest, int]] = []
        for prefix in prefixes:
            with suppress(FileNotFoundError), os.scandir(f"{self._root}{prefix}") as entries:
                found += [(f"sha256:{entry.name}", entry.stat().st_size) for entry in entries]
        return found

    def _make_directories(self) -> None:
        if self._ready:
            return
        self._incoming.mkdir(parents=True, exist_ok=True)
        if not (self._directory / PREFIXES[-1]).exists():
            for prefix in PREFIXES:
                (self._directory / prefix).mkdir(exist_ok=True)
            sync_directory(self._directory)
        oldest = time.time() - _STALE_SECONDS
        with os.scandir(self._incoming) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.stat().st_mtime < oldest:
                        os.unlink(entry.path)
        self._ready = True


def write_new(file: BlobFile, data: bytes) -> None:
    descriptor = _create_new(file)
    try:
        _write_all(descriptor, data)
    finally:
        os.close(descriptor)


def _create_new(file: BlobFile) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(file.path, flags, 0o755 if file.executable else 0o644)


def _limit(unless_put_since: float | None) -> float:
    return float("inf") if unless_put_since is None else unless_put_since - _CLOCK_SLACK_SECONDS


def _batches(blobs: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    total = 0
    for blob in blobs:
        batch.append(blob)
        total += len(blob)
        if len(batch) >= _BATCH_BLOBS or total >= _BATCH_BYTES:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def _read_all(descriptor: int) -> bytes:
    pieces = []
    while piece := os.read(descriptor, os.fstat(descriptor).st_size + 1):
        pieces.append(piece)
    return b"".join(pieces)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _copy(source: int, target: int) -> Digest:
    """Copy the rest of a file; the digest of what was copied."""
    seen = hashlib.sha256()
    while piece := os.read(source, PIECE):
        seen.update(piece)
        _write_all(target, piece)
    return f"sha256:{seen.hexdigest()}"


def _check(expected: Digest | None, received: Digest) -> None:
    if expected is not None and received != expected:
        raise CorruptBlob(f"expected {expected}, received {received}")
