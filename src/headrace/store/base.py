"""
The contract of stores: content-addressed blobs.

A blob is visible whole or not at all, and is verified when it is read whole. Writing a blob twice is harmless.
Every method may be called from many tasks and processes.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from headrace.model.digest import Digest


class Store(Protocol):
    async def put(self, data: bytes) -> Digest:
        """Store `data`. Durable when this returns. Raises StoreFull."""
        ...

    async def put_many(self, blobs: Iterable[bytes]) -> Sequence[Digest]:
        """Store several blobs with one flush to disk; their digests in order."""
        ...

    async def put_file(self, path: Path, digest: Digest | None = None) -> Digest:
        """Store a copy of a regular file. Raises CorruptBlob when it does not have the `digest` that was declared."""
        ...

    async def missing(self, digests: Collection[Digest]) -> set[Digest]:
        """Those of `digests` that are not stored."""
        ...

    async def read(self, digest: Digest) -> bytes:
        """The whole blob. Raises NotFound, or CorruptBlob (and drops the blob) when its bytes are not its digest's."""
        ...

    def stream(self, digest: Digest, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Bytes `start` to `end` (exclusive) in pieces. Not verified. Raises NotFound at the first piece."""
        ...

    async def size(self, digest: Digest) -> int:
        """Raises NotFound."""
        ...

    async def write_to(self, digest: Digest, path: Path, *, executable: bool = False) -> None:
        """Write the blob as a new file of its own (never a link that shares bytes with the store)."""
        ...

    async def delete(self, digest: Digest) -> None:
        """Remove the blob. Nothing happens when it is missing."""
        ...

    def all(self) -> AsyncIterator[tuple[Digest, int]]:
        """Every stored digest with its size in bytes, in no order."""
        ...
