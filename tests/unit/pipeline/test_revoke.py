"""One call takes out what a build made and everything that came of it, and nothing else."""

import asyncio
from pathlib import Path

from tests.unit.pipeline.conftest import Shop

from headrace.executor.fake import Act
from headrace.model.build import Build
from headrace.model.sandbox import SandboxCommand
from headrace.pipeline.revoke import revoke


async def layer_of(shop: Shop, build: Build) -> str:
    return (await shop.decided(build, "dependencies")).key.digest


async def test_layer_and_result_go_and_the_next_build_makes_them_anew(shop: Shop) -> None:
    shop.installs = "poison"
    bad = await shop.build()
    revoked = await revoke(shop.services, bad)
    assert [layer.digest for layer in revoked.layers] == [await layer_of(shop, bad)]
    assert [result.build_id for result in revoked.results] == [bad.id]
    assert [(one.build_id, one.active) for one in revoked.deployments] == [(bad.id, True)]

    shop.installs = "good"
    build = await shop.build()
    assert build.id != bad.id
    assert "good" in await shop.page(build)


async def test_results_of_builds_that_used_its_layer_go_too(shop: Shop) -> None:
    bad = await shop.build()
    shop.write("other.txt", "a change")
    user = await shop.build()
    assert (await shop.decided(user, "dependencies")).made_by == bad.id
    revoked = await revoke(shop.services, bad)
    assert {result.build_id for result in revoked.results} == {bad.id, user.id}
    assert {one.build_id for one in revoked.deployments} == {bad.id, user.id}
    assert (await shop.build()).id != user.id


async def test_layers_that_were_begun_with_it_go_over_any_number_of_steps(shop: Shop) -> None:
    bad = await shop.build()
    shop.lock("2.0.0")
    second = await shop.build()
    shop.lock("3.0.0")
    third = await shop.build()
    assert (await shop.decided(third, "dependencies")).begun_with is not None
    revoked = await revoke(shop.services, bad)
    assert {layer.made_by for layer in revoked.layers} == {bad.id, second.id, third.id}
    assert shop.services.layers.all() == []


async def test_what_came_of_a_layer_that_is_gone_already_is_found(shop: Shop) -> None:
    bad = await shop.build()
    shop.lock("2.0.0")
    second = await shop.build()
    shop.services.layers.remove(await layer_of(shop, bad))
    revoked = await revoke(shop.services, bad)
    assert [layer.made_by for layer in revoked.layers] == [second.id]
    assert {result.build_id for result in revoked.results} == {bad.id, second.id}


async def test_what_has_nothing_to_do_with_it_stays(shop: Shop) -> None:
    good = await shop.build()
    shop.write("other.txt", "a stranger's change")
    stranger = await shop.build(trust="untrusted")
    revoked = await revoke(shop.services, stranger)
    assert (revoked.layers, [result.build_id for result in revoked.results]) == ((), [stranger.id])
    assert shop.services.layers.find(await layer_of(shop, good)) is not None
    again = await revoke(shop.services, stranger)
    assert (again.layers, again.results) == ((), ())


async def test_a_build_that_uses_it_now_is_ended_and_saves_nothing(shop: Shop) -> None:
    bad = await shop.build()
    began = asyncio.Event()

    def slow(command: SandboxCommand, directory: Path) -> Act:
        began.set()
        return Act(seconds=60, writes={"dist/index.html": b"late"})

    shop.building = slow
    shop.write("other.txt", "a change")
    task = asyncio.create_task(shop.build())
    await asyncio.wait_for(began.wait(), 20)
    revoked = await revoke(shop.services, bad)
    user = await task
    assert (user.status, revoked.cancelled) == ("cancelled", (user.id,))
    assert shop.services.layers.all() == []
