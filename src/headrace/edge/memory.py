"""Small files in memory, by digest: the same bytes for every site and every deployment that has them."""

import asyncio
from collections import OrderedDict

from headrace.edge.blobs import Blobs
from headrace.model.digest import Digest

MIB = 1024 * 1024


class Memory:
    """Holds up to `budget` bytes; the least recently used go first. For one event loop."""

    def __init__(self, store: Blobs, budget: int = 64 * MIB, largest: int = MIB) -> None:
        self._store = store
        self._budget = budget
        #: Larger files don't come in here: a few would push everything else out.
        self.largest = largest
        self._held = 0
        self._blobs: OrderedDict[Digest, bytes] = OrderedDict()
        self._loading: dict[Digest, asyncio.Future[bytes]] = {}

    @property
    def held(self) -> int:
        return self._held

    def get(self, digest: Digest) -> bytes | None:
        data = self._blobs.get(digest)
        if data is not None:
            self._blobs.move_to_end(digest)
        return data

    async def load(self, digest: Digest) -> bytes:
        """From memory or from the store, once for all who ask at the same time. Raises NotFound or CorruptBlob."""
        if (data := self.get(digest)) is not None:
            return data
        loading = self._loading.get(digest)
        if loading is None:
            loading = self._loading[digest] = asyncio.ensure_future(self._store.read(digest))
            loading.add_done_callback(lambda done: self._loaded(digest, done))
        # One visitor who leaves must not take the file from the others.
        return await asyncio.shield(loading)

    def _loaded(self, digest: Digest, done: "asyncio.Future[bytes]") -> None:
        del self._loading[digest]
        if done.cancelled() or done.exception() is not None:
            return
        data = done.result()
        if len(data) > min(self.largest, self._budget) or digest in self._blobs:
            return
        self._blobs[digest] = data
        self._held += len(data)
        while self._held > self._budget:
            self._held -= len(self._blobs.popitem(last=False)[1])
