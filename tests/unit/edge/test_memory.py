import asyncio

import pytest

from headrace.edge.memory import Memory
from headrace.errors import NotFound
from headrace.model.digest import Digest, digest_of
from headrace.store.memory import MemoryStore


class CountingStore(MemoryStore):
    """Counts what is read, and takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def read(self, digest: Digest) -> bytes:
        self.reads += 1
        await asyncio.sleep(0.01)
        return await super().read(digest)


async def test_what_was_read_once_is_in_memory() -> None:
    store = CountingStore()
    memory = Memory(store)
    digest = await store.put(b"data")
    assert memory.get(digest) is None
    assert await memory.load(digest) == b"data"
    assert (memory.get(digest), memory.held, store.reads) == (b"data", 4, 1)


async def test_the_least_recently_used_go_first() -> None:
    store = CountingStore()
    memory = Memory(store, budget=10)
    a, b, c = [await store.put(data) for data in (b"aaaa", b"bbbb", b"cccc")]
    await memory.load(a)
    await memory.load(b)
    memory.get(a)
    await memory.load(c)
    assert [memory.get(digest) is not None for digest in (a, b, c)] == [True, False, True]
    assert memory.held == 8


async def test_a_file_over_the_limit_passes_through() -> None:
    store = CountingStore()
    memory = Memory(store, largest=3)
    assert await memory.load(await store.put(b"data")) == b"data"
    assert memory.held == 0


async def test_many_who_ask_at_once_cost_one_read() -> None:
    store = CountingStore()
    memory = Memory(store)
    digest = await store.put(b"data")
    assert await asyncio.gather(*(memory.load(digest) for _ in range(20))) == [b"data"] * 20
    assert store.reads == 1


async def test_one_who_leaves_does_not_take_the_file_from_the_others() -> None:
    store = CountingStore()
    memory = Memory(store)
    digest = await store.put(b"data")
    first, second = (asyncio.create_task(memory.load(digest)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == b"data"


async def test_a_missing_file_is_asked_for_again_next_time() -> None:
    store = CountingStore()
    memory = Memory(store)
    with pytest.raises(NotFound):
        await memory.load(digest_of(b"data"))
    await store.put(b"data")
    assert await memory.load(digest_of(b"data")) == b"data"
