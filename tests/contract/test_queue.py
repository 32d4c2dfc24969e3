"""What every queue does. Those that other processes share join the parameters."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from headrace.queue.base import Handler, Queue
from headrace.queue.inline import InlineQueue


@pytest.fixture(params=[InlineQueue])
def queue(request: pytest.FixtureRequest) -> Queue:
    make: Callable[[int], Queue] = request.param
    return make(2)


@asynccontextmanager
async def working(queue: Queue, handler: Handler) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.work(handler))
    try:
        yield
    finally:
        task.cancel()
        async with asyncio.timeout(30):
            with suppress(asyncio.CancelledError):
                await task


async def test_each_build_wakes_a_handler(queue: Queue) -> None:
    done = asyncio.Queue[str]()
    async with working(queue, done.put), asyncio.timeout(30):
        for build in ("a", "b", "c"):
            await queue.enqueue(build)
        assert {await done.get() for _ in range(3)} == {"a", "b", "c"}


async def test_no_more_handlers_run_than_were_asked_for(queue: Queue) -> None:
    running, most, done = 0, 0, asyncio.Queue[str]()

    async def handle(build: str) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        await done.put(build)

    async with working(queue, handle), asyncio.timeout(30):
        for number in range(6):
            await queue.enqueue(f"b{number}")
        for _ in range(6):
            await done.get()
    assert most == 2


async def test_a_handler_that_fails_takes_nobody_with_it(queue: Queue) -> None:
    done = asyncio.Queue[str]()

    async def handle(build: str) -> None:
        await done.put(build)
        if build != "last":
            raise ValueError(build)

    async with working(queue, handle), asyncio.timeout(30):
        for build in ("a", "b", "c", "last"):
            await queue.enqueue(build)
        assert {await done.get() for _ in range(4)} == {"a", "b", "c", "last"}


async def test_a_handler_that_fails_while_it_is_cancelled_ends_all_the_same(queue: Queue) -> None:
    begun = asyncio.Event()

    async def handle(_: str) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError("busy")

    async with working(queue, handle), asyncio.timeout(30):
        await queue.enqueue("a")
        await begun.wait()
