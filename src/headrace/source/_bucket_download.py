"""Brings a project's files out of a bucket: all of them as they were listed together, or none."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from headrace.disk import storage_errors
from headrace.errors import BucketUnreachable, Conflict
from headrace.source._aside import filled
from headrace.source._bucket import PIECE, Bucket, Entry, Moved, at_once
from headrace.source._bucket_listing import Listing
from headrace.tree.paths import parents, shown

#: Somebody may be writing. Then the files are listed anew, so that they are of one moment.
_ROUNDS = 4


async def download(bucket: Bucket, listed: Callable[[], Awaitable[Listing]], into: Path) -> Listing:
    """
    Fill `into`, which is empty, with what `listed` names. Nothing is written for an empty listing.

    Raises Conflict (`bucket.changed`) when the files change all the time.
    """
    for _ in range(_ROUNDS):
        listing = await listed()
        if not listing.files:
            return listing
        try:
            with filled(into) as aside:
                await _fill(bucket, listing, aside)
            return listing
        except Moved:
            continue
    raise Conflict(
        "the project's files in the bucket changed again and again while they were fetched",
        code="bucket.changed",
        hint="try again when nothing writes to it",
    )


async def _fill(bucket: Bucket, listing: Listing, root: Path) -> None:
    with storage_errors():
        for directory in parents(listing.files):
            (root / directory).mkdir()

    async def bring(item: tuple[str, Entry]) -> None:
        path, entry = item
        with storage_errors(), (root / path).open("xb") as file:
            for start in range(0, entry.size, PIECE):
                end = min(start + PIECE, entry.size)
                data = await bucket.read(entry, start, end)
                if len(data) != end - start:
                    raise BucketUnreachable(f"{shown(path)} arrived cut off", hint="try again")
                file.write(data)

    await at_once(listing.files.items(), bring)
