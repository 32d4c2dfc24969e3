"""
What previews show, in memory: a page that lives until the next edit is not worth a flush to disk.

Reads fall through to the store, so a manifest may name blobs of both. The edge reads it like any store.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable

from headrace.model.digest import Digest
from headrace.store.base import Store


class Blobs:
    """For one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: dict[Digest, bytes] = {}
        self._holders: Counter[Digest] = Counter()

    def hold(self, blobs: Iterable[tuple[Digest, bytes]]) -> None:
        """Keep blobs until they were released as often as they were held."""
        for digest, data in blobs:
            self._held[digest] = data
            self._holders[digest] += 1

    def release(self, digests: Iterable[Digest]) -> None:
        for digest in digests:
            self._holders[digest] -= 1
            if self._holders[digest] <= 0:
                del self._holders[digest]
                self._held.pop(digest, None)

    async def keep(self, digests: Iterable[Digest]) -> None:
        """Put those of them that are only in memory into the store."""
        await self._store.put_many([self._held[digest] for digest in digests if digest in self._held])

    async def read(self, digest: Digest) -> bytes:
        data = self._held.get(digest)
        return data if data is not None else await self._store.read(digest)

    async def size(self, digest: Digest) -> int:
        data = self._held.get(digest)
        return len(data) if data is not None else await self._store.size(digest)

    async def stream(self, digest: Digest, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        data = self._held.get(digest)
        if data is not None:
            yield data[start:end]
            return
        async for piece in self._store.stream(digest, start, end):
            yield piece
