"""
Blobs on this machine: small ones packed into `packed.db`, large ones as files `ab/abcdef…`, both below one directory.

Work is done in threads, many blobs in one hop.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from pathlib import Path

from headrace.errors import NotFound
from headrace.model.digest import Digest
from headrace.store._files import PIECE
from headrace.store._packed import SMALL, PackedBlobs
from headrace.store.base import BlobFile


class LocalStore:
    def __init__(self, directory: Path, *, small: int = SMALL) -> None:
        """Blobs of up to `small` bytes are packed."""
        self._blobs = PackedBlobs(directory, small)

    async def put(self, data: bytes, *, like: Digest | None = None) -> Digest:
        return (await asyncio.to_thread(self._blobs.put_all, (data,), (like,)))[0]

    async def put_many(self, blobs: Iterable[bytes], *, likes: Iterable[Digest | None] = ()) -> Sequence[Digest]:
        return await asyncio.to_thread(self._blobs.put_all, blobs, likes)

    async def put_file(self, file: Path | int, digest: Digest | None = None) -> Digest:
        return await asyncio.to_thread(self._blobs.put_file, file, digest)

    async def missing(self, digests: Collection[Digest]) -> set[Digest]:
        return set(digests) - (await asyncio.to_thread(self._blobs.sizes, digests)).keys()

    async def read(self, digest: Digest) -> bytes:
        return await asyncio.to_thread(self._blobs.read, digest)

    async def stream(self, digest: Digest, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        descriptor = await asyncio.to_thread(self._blobs.open_file, digest)
        if descriptor is None:
            yield (await asyncio.to_thread(self._blobs.read, digest))[start:end]
            return
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
        size = (await asyncio.to_thread(self._blobs.sizes, (digest,))).get(digest)
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
        batches = self._blobs.listed()
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            for found in batch:
                yield found
