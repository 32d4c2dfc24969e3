"""A directory that is used like a bucket: no link in it is followed, and nothing of it is outside of it."""

import asyncio
import errno
import os
import secrets
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from headrace.disk import storage_errors
from headrace.errors import BucketDenied, InvalidInput, NotFound, TooLarge
from headrace.source._bucket import Entry, Moved
from headrace.tree.paths import shown
from headrace.tree.scan import opened_below

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PAGE = 1000
#: Files that are being written. One that a crash left is no file of anybody.
_ASIDE = ".headrace-write-"
#: A link, or a file, where a directory is asked for.
_IN_THE_WAY = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR}


class DirectoryBucket:
    def __init__(self, root: Path) -> None:
        self._root = root

    async def pages(self, prefix: str) -> AsyncIterator[Sequence[Entry]]:
        found = await asyncio.to_thread(self._list, prefix.strip("/"))
        for start in range(0, len(found), _PAGE):
            yield found[start : start + _PAGE]

    async def exists(self, key: str) -> bool:
        return await asyncio.to_thread(self._exists, key)

    async def read(self, entry: Entry, start: int, end: int) -> bytes:
        return await asyncio.to_thread(self._read, entry, start, end)

    async def read_now(self, key: str, most_bytes: int) -> bytes | None:
        return await asyncio.to_thread(self._read_now, key, most_bytes)

    async def write(self, key: str, data: bytes | AsyncIterator[bytes], media_type: str) -> None:  # noqa: ARG002
        whole = data if isinstance(data, bytes) else b"".join([piece async for piece in data])
        await asyncio.to_thread(self._write, key, whole)

    async def delete(self, keys: Sequence[str]) -> None:
        await asyncio.to_thread(self._delete, keys)

    def _list(self, prefix: str) -> list[Entry]:
        with self._opened() as root:
            try:
                with _descended(root, prefix.split("/")) as top:
                    return list(_walk(top, f"{prefix}/"))
            except OSError as exc:
                if exc.errno in {errno.ENOENT, *_IN_THE_WAY}:
                    return []
                raise

    def _exists(self, key: str) -> bool:
        try:
            with self._opened() as root, opened_below(root, key) as file:
                return stat.S_ISREG(os.fstat(file).st_mode)
        except FileNotFoundError:
            return False

    def _read(self, entry: Entry, start: int, end: int) -> bytes:
        try:
            with self._opened() as root, opened_below(root, entry.key) as file:
                data = _whole(file, start, end - start)
                # Asked after the bytes are here: a file that was written meanwhile has another time or size.
                if _etag(os.fstat(file)) != entry.etag:
                    raise Moved
                return data
        except OSError as exc:
            raise Moved from exc

    def _read_now(self, key: str, most_bytes: int) -> bytes | None:
        try:
            with self._opened() as root, opened_below(root, key) as file:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    return None
                data = _whole(file, 0, most_bytes + 1)
        except OSError as exc:
            if exc.errno in {errno.ENOENT, *_IN_THE_WAY}:
                return None
            raise
        if len(data) > most_bytes:
            raise TooLarge(f"{shown(key)} has more than {most_bytes} bytes", code="file.too_large")
        return data

    def _write(self, key: str, data: bytes) -> None:
        *directories, name = key.split("/")
        aside = f"{_ASIDE}{secrets.token_hex(6)}"
        try:
            with storage_errors(), self._opened() as root, _descended(root, directories, make=True) as parent:
                try:
                    with os.fdopen(os.open(aside, _WRITE, 0o644, dir_fd=parent), "wb") as file:
                        file.write(data)
                        file.flush()
                        os.fsync(file.fileno())
                    os.replace(aside, name, src_dir_fd=parent, dst_dir_fd=parent)
                except BaseException:
                    with suppress(OSError):
                        os.unlink(aside, dir_fd=parent)
                    raise
        except OSError as exc:
            if exc.errno not in _IN_THE_WAY:
                raise
            said = f"{shown(key)!r} can't be written: a link, or a file or directory of that name, is in the way"
            raise InvalidInput(said, code="bucket.path_invalid", hint="remove it there") from exc

    def _delete(self, keys: Sequence[str]) -> None:
        with self._opened() as root:
            for key in keys:
                parts = key.split("/")
                with suppress(OSError), _descended(root, parts[:-1]) as parent:
                    os.unlink(parts[-1], dir_fd=parent)
                # A bucket has no empty directories.
                for end in range(len(parts) - 1, 0, -1):
                    try:
                        with _descended(root, parts[: end - 1]) as parent:
                            os.rmdir(parts[end - 1], dir_fd=parent)
                    except OSError:
                        break

    @contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            # The operator's own path may be a link.
            descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError as exc:
            raise BucketDenied(f"{self._root} can't be read", hint="give the server's user the right to") from exc
        except OSError as exc:
            said = f"there is no directory {self._root}"
            raise NotFound(said, code="bucket.not_found", hint="the operator should make it") from exc
        try:
            yield descriptor
        except PermissionError as exc:
            raise BucketDenied(f"{self._root} refuses this server", hint="give its user the right to") from exc
        finally:
            os.close(descriptor)


@contextmanager
def _descended(root: int, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """The directory `parts` below `root`, opened without following a link."""
    at = os.dup(root)
    try:
        for part in parts:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=at)
            inner = os.open(part, _DIRECTORY, dir_fd=at)
            os.close(at)
            at = inner
        yield at
    finally:
        os.close(at)


def _walk(directory: int, prefix: str) -> Iterator[Entry]:
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    with _descended(directory, [entry.name]) as inner:
                        yield from _walk(inner, f"{prefix}{entry.name}/")
                elif stat.S_ISREG(status.st_mode) and not entry.name.startswith(_ASIDE):
                    modified = datetime.fromtimestamp(status.st_mtime, UTC)
                    yield Entry(prefix + entry.name, status.st_size, _etag(status), modified)
            except FileNotFoundError:
                continue


def _etag(status: os.stat_result) -> str:
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def _whole(file: int, start: int, size: int) -> bytes:
    """`size` bytes from `start`, or fewer at the end of the file."""
    pieces = []
    while size > 0 and (piece := os.pread(file, size, start)):
        pieces.append(piece)
        start, size = start + len(piece), size - len(piece)
    return b"".join(pieces)
