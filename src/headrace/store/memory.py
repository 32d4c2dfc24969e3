"""Blobs in this process's memory: for tests, and for builds whose result is only exported."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from pathlib import Path

from headrace.disk import open_regular, storage_errors
from headrace.errors import CorruptBlob, NotFound
from headrace.model.digest import Digest, digest_of
from headrace.store.base import BlobFile


class MemoryStore:
    def __init__(self) -> None:
        self._blobs: dict[Digest, bytes] = {}
        self._put_at: dict[Digest, float] = {}

    async def put(self, data: bytes, *, like: Digest | None = None) -> Digest:  # noqa: ARG002 - a hint
        return self._keep(bytes(data))

    async def put_many(
        self,
        blobs: Iterable[bytes],
        *,
        likes: Iterable[Digest | None] = (),  # noqa: ARG002 - hints
    ) -> Sequence[Digest]:
        return await asyncio.to_thread(lambda: [self._keep(bytes(blob)) for blob in blobs])

    async def put_file(self, file: Path | int, digest: Digest | None = None) -> Digest:
        data = await asyncio.to_thread(_contents, file)
        if digest is not None and digest_of(data) != digest:
            raise CorruptBlob(f"expected {digest}, received {digest_of(data)}")
        return self._keep(data)

    async def missing(self, digests: Collection[Digest]) -> set[Digest]:
        return {digest for digest in digests if digest not in self._blobs}

    async def read(self, digest: Digest) -> bytes:
        data = self._find(digest)
        if digest_of(data) != digest:
            del self._blobs[digest]
            raise CorruptBlob(f"{digest} does not have its bytes any more; it was dropped")
        return data

    async def stream(self, digest: Digest, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        yield self._find(digest)[start:end]

    async def size(self, digest: Digest) -> int:
        return len(self._find(digest))

    async def write_to(self, digest: Digest, path: Path, *, executable: bool = False) -> None:
        await self.write_many([BlobFile(digest, path, executable)])

    async def write_many(self, files: Sequence[BlobFile]) -> None:
        contents = [await self.read(file.digest) for file in files]
        await asyncio.to_thread(_write, files, contents)

    async def delete(self, digest: Digest, *, unless_put_since: float | None = None) -> None:
        if unless_put_since is not None and self._put_at.get(digest, 0.0) >= unless_put_since:
            return
        self._blobs.pop(digest, None)

    async def all(self) -> AsyncIterator[tuple[Digest, int]]:
        for digest, data in list(self._blobs.items()):
            yield digest, len(data)

    def _keep(self, data: bytes) -> Digest:
        digest = digest_of(data)
        self._put_at[digest] = time.time()
        self._blobs[digest] = data
        return digest

    def _find(self, digest: Digest) -> bytes:
        try:
            return self._blobs[digest]
        except KeyError:
            raise NotFound(f"{digest} is not stored") from None


def _contents(file: Path | int) -> bytes:
    with open_regular(file) as opened:
        return opened.read()


def _write(files: Sequence[BlobFile], contents: Sequence[bytes]) -> None:
    with storage_errors():
        for file, data in zip(files, contents, strict=True):
            with file.path.open("xb") as opened:
                opened.write(data)
            file.path.chmod(0o755 if file.executable else 0o644)
