"""Sessions to servers behind the edge: one for each, and none for long that nobody needs."""

import asyncio

import pytest

from headrace.edge.upstreams import MOST_AT_ONCE, Busy, Destination, Upstreams

ONE, TWO = (Destination(id=name, address="127.0.0.1:1") for name in ("one", "two"))


async def test_a_session_is_kept_until_it_is_idle() -> None:
    upstreams = Upstreams(idle_seconds=0.01)
    async with upstreams.use("prj", ONE) as first:
        pass
    async with upstreams.use("prj", ONE) as again:
        assert again is first
        await asyncio.sleep(0.05)
        assert not first.closed
    async with asyncio.timeout(30):
        while not first.closed:
            await asyncio.sleep(0.01)
    assert upstreams.count == 0


async def test_a_replaced_session_ends_with_its_last_user() -> None:
    upstreams = Upstreams()
    async with upstreams.use("prj", ONE) as old:
        async with upstreams.use("prj", TWO) as new:
            assert new is not old
        await asyncio.sleep(0)
        assert not old.closed
    await upstreams.aclose()
    assert (old.closed, new.closed) == (True, True)


async def test_too_many_at_once_are_refused() -> None:
    upstreams = Upstreams()
    held = [upstreams.use("prj", ONE) for _ in range(MOST_AT_ONCE)]
    for one in held:
        await one.__aenter__()
    with pytest.raises(Busy):
        await upstreams.use("prj", ONE).__aenter__()
    async with upstreams.use("other", ONE):
        pass
    for one in held:
        await one.__aexit__(None, None, None)
    await upstreams.aclose()
