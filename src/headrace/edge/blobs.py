"""What a store must be able to do for its files to be served."""

from collections.abc import AsyncIterator
from typing import Protocol

from headrace.model.digest import Digest


class Blobs(Protocol):
    """The reading part of `store.base.Store`, with its rules."""

    async def read(self, digest: Digest) -> bytes: ...

    def stream(self, digest: Digest, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]: ...

    async def size(self, digest: Digest) -> int: ...
