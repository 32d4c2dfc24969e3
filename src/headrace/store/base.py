"""
The contract of stores: content-addressed blobs.

A blob is visible whole or not at all, and is verified when it is read whole. Writing a blob twice is harmless.
Every method may be called from many tasks and processes. Where and in which form bytes lie is the implementation's affair:
small blobs may be packed together, so nobody outside takes a path to one.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from headrace.model.digest import Digest


class BlobFile(NamedTuple):
    """A blob to be written as a file."""

    digest: Digest
    path: Path
    executable: bool = False


class Store(Protocol):
    async def put(self, data: bytes, *, like: Digest | None = None) -> Digest:
        """
        Store `data`. Durable when this returns. Raises StoreFull.

        `like` is a hint: a blob that this one resembles, for instance what the file held before. A store may then keep only what
        differs. It changes nothing that a caller can see, also when that blob is not stored, or is deleted later.
        """
        ...

    async def put_many(self, blobs: Iterable[bytes], *, likes: Iterable[Digest | None] = ()) -> Sequence[Digest]:
        """
        Store several blobs with few flushes to disk; their digests in order. `blobs` is iterated in a thread, bit by bit, so
        it may read files and need not fit into memory. `likes` are hints for the blobs in their order; it may be shorter.
        """
        ...

    async def put_file(self, file: Path | int, digest: Digest | None = None) -> Digest:
        """
        Store a copy of a regular file, which is a path whose last part is no link, or an open descriptor (read from its
        beginning, and not closed). Raises CorruptBlob when it does not have the `digest` that was declared.
        """
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
        """
        Write the blob as a new file of its own (never a link that shares bytes with the store). Raises NotFound, or
        CorruptBlob like `read`.
        """
        ...

    async def write_many(self, files: Sequence[BlobFile]) -> None:
        """`write_to` for many files. Directories must exist. What was written stays when it fails."""
        ...

    async def delete(self, digest: Digest, *, unless_put_since: float | None = None) -> None:
        """
        Remove the blob. Nothing happens when it is missing, or when it was put, also again, at or after the Unix time
        `unless_put_since`: a collector passes the time at which it began to look for users.
        """
        ...

    def all(self) -> AsyncIterator[tuple[Digest, int]]:
        """Every stored digest with its size in bytes, in no order."""
        ...
