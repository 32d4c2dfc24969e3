"""Whoever asks for the end of a build gets an answer that stays true."""

import asyncio

import pytest
from tests.unit.pipeline.conftest import Shop

from headrace.errors import Conflict
from headrace.model.build import Build
from headrace.pipeline.request import cancel_build
from headrace.records import builds, deployments


async def cancelled(shop: Shop) -> bool:
    """Whether the one build that has not ended could be cancelled."""
    async with shop.services.db.read() as c:
        (build,) = await builds.unfinished(c)
    try:
        await cancel_build(shop.services, build, by="test")
    except Conflict:
        return False
    return True


async def test_a_build_that_is_deployed_and_has_not_said_so_is_not_cancelled(shop: Shop) -> None:
    asked = list[asyncio.Task[bool]]()
    shop.services.switched.append(lambda _: asked.append(asyncio.create_task(cancelled(shop))))
    build = await shop.build()
    assert [await task for task in asked] == [False]
    assert build.status == "succeeded"


@pytest.mark.parametrize("milliseconds", range(0, 60, 12))
async def test_whenever_a_build_is_cancelled_the_answer_agrees_with_its_end(shop: Shop, milliseconds: int) -> None:
    task = asyncio.create_task(shop.build(force=True))
    await started(shop, task)
    await asyncio.sleep(milliseconds / 1000)
    try:
        answer = await cancelled(shop)
    except ValueError:
        answer = False  # there is none that has not ended
    build = await task
    assert build.status == ("cancelled" if answer else "succeeded")
    async with shop.services.db.read() as c:
        assert (await deployments.of_build(c, build.id) is None) == answer


async def started(shop: Shop, task: "asyncio.Task[Build]") -> None:
    while not task.done():
        async with shop.services.db.read() as c:
            if await builds.unfinished(c):
                return
        await asyncio.sleep(0)
