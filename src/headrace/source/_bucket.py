"""What buckets of every kind can do: list, read, write, remove. Keys are relative to the place that the operator named."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

T = TypeVar("T")

#: Large objects are read in pieces, so that a broken connection costs one of them and memory stays bounded.
PIECE = 4 << 20
#: Requests that are under way at the same time.
AT_ONCE = 16


@dataclass(frozen=True)
class Entry:
    """An object as it was listed."""

    key: str
    size: int
    etag: str
    modified: datetime


class Moved(Exception):
    """The object is not any more what it was when it was listed."""


class Bucket(Protocol):
    """
    Any number of calls at once, from any event loop. Besides what is said below every method raises NotFound
    (`bucket.not_found`: no such bucket), BucketDenied or BucketUnreachable, and InvalidInput (`bucket.path_invalid`) for keys
    that can't be files. Messages hold nothing of a credential.
    """

    def pages(self, prefix: str) -> AsyncIterator[Sequence[Entry]]:
        """Pages of what is below the directory `prefix`, in no order; none where nothing is."""
        ...

    async def exists(self, key: str) -> bool:
        """Asked for objects without bytes: some stores list the markers of directories as such."""
        ...

    async def read(self, entry: Entry, start: int, end: int) -> bytes:
        """Bytes `start` to `end` (exclusive, not empty). Raises Moved when the object is another one by now, or gone."""
        ...

    async def read_now(self, key: str, most_bytes: int) -> bytes | None:
        """The whole object as it is now; None when there is none. Raises TooLarge (`file.too_large`)."""
        ...

    async def write(self, key: str, data: bytes | AsyncIterator[bytes], media_type: str) -> None:
        """Make or replace an object. Readers see the old one or the new one."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Missing ones are fine."""
        ...


async def at_once(items: Iterable[T], do: Callable[[T], Awaitable[None]], *, most: int = AT_ONCE) -> None:
    """`do` for each of the items, some at a time. The first error ends the others, and is raised as it is."""
    left = iter(items)

    async def take() -> None:
        for item in left:
            await do(item)

    takers = [asyncio.ensure_future(take()) for _ in range(most)]
    try:
        await asyncio.gather(*takers)
    finally:
        for taker in takers:
            taker.cancel()
        await asyncio.gather(*takers, return_exceptions=True)
