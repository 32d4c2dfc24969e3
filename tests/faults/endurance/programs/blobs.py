"""Blobs that are put into the store, small and large."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from endurance.programs import begin, promise, ready
from headrace.errors import NotFound
from headrace.model.digest import digest_of
from headrace.store.local import LocalStore


def run(directory: Path, times: int) -> None:
    asyncio.run(_blobs(directory, times))


async def _blobs(directory: Path, times: int) -> None:
    store = LocalStore(directory / "blobs")
    ready()
    for number in range(times):
        small, large = b"small %d" % number * 20, b"large %d" % number * 8000
        like = digest_of(b"small %d" % (number - 1) * 20)
        for digest in await store.put_many([small, large], likes=[like]):
            promise(digest)


def check(directory: Path, promised: Sequence[str], *, rebooted: bool) -> None:
    asyncio.run(_check_blobs(directory, promised))


async def _check_blobs(directory: Path, promised: Sequence[str]) -> None:
    store = LocalStore(directory / "blobs")
    for digest in promised:
        await store.read(digest)  # verifies
    seen = [digest async for digest, _ in store.all()] if (directory / "blobs").exists() else []
    for digest in seen:
        try:
            await store.read(digest)
        except NotFound:
            raise AssertionError(f"{digest} is listed and not there") from None
    await store.put(b"the next one")


if __name__ == "__main__":
    begin(run, check)
