"""Blobs as files on this machine: `ab/abcdef…` below one directory. Work is done in threads, many files in one hop."""

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from pathlib import Path

from headrace.errors import NotFound
from headrace.model.digest import Digest
from headrace.store._files import PIECE, PREFIXES, BlobDirectory
from headrace.store.base import BlobFile


class LocalStore:
    def __init__(self, directory: Path) -> None:
        self._blobs = BlobDirectory(directory)

    async def put(self, data: bytes) -> Digest:
        return (await asyncio.to_thread(self._blobs.put_all, (data,)))[0]

    async def put_many(self, blobs: Iterable[bytes]) -> Sequence[Digest]:
        return await asyncio.to_thread(self._blobs.put_all, blobs)

    async def put_file(self, file: Path | int, digest: Digest | None = None) -> Digest:
        return await asyncio.to_thread(self._blobs.put_file, file, digest)

    async def missing(self, digests: Collection[Digest]) -> set[Digest]:
        return await asyncio.to_thread(lambda: {digest for digest in digests if self._blobs.size(digest) is None})

    async def read(self, digest: Digest) -> bytes:
        return await asyncio.to_thread(self._blobs.read, digest)

    async def stream(self, digest: Digest, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        descriptor = await asyncio.to_thread(self._blobs.open, digest)
        try:
            length = os.fstat(descriptor).st_size
            end = length if end is None else min(end, length)
            while start < end:
                piece = await asyncio.to_thread(os.pread, descriptor, min(PIECE, end - start), start)
                if not piece:
                    return
                start += len(piece)
                yield piece
        finally:
            os.close(descriptor)

    async def size(self, digest: Digest) -> int:
        size = await asyncio.to_thread(self._blobs.size, digest)
        if size is None:
            raise NotFound(f"{digest} is not stored")
        return size

    async def write_to(self, digest: Digest, path: Path, *, executable: bool = False) -> None:
        await self.write_many([BlobFile(digest, path, executable)])

    async def write_many(self, files: Sequence[BlobFile]) -> None:
        await asyncio.to_thread(self._blobs.write_files, files)

    async def delete(self, digest: Digest, *, unless_put_since: float | None = None) -> None:
        await asyncio.to_thread(self._blobs.delete, digest, unless_put_since)

    async def all(self) -> AsyncIterator[tuple[Digest, int]]:
        for first in range(0, len(PREFIXES), 16):
            for found in await asyncio.to_thread(self._blobs.listed, PREFIXES[first : first + 16]):
                yield found
