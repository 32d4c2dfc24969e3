"""A build that ends with the dependencies: what a preview starts on, whatever becomes of the project otherwise."""

import json

from tests.unit.pipeline.conftest import Shop

from headrace.executor.fake import Act
from headrace.records import line

SERVER = {"scripts": {"dev": "next dev", "build": "next build"}, "dependencies": {"x": "1.0.0", "next": "16.0.0"}}


async def test_it_installs_and_publishes_nothing(shop: Shop) -> None:
    before = await shop.build()
    shop.lock("2.0.0")
    build = await shop.build(dependencies_only=True)
    assert (build.status, build.artifact, build.failure) == ("succeeded", None, None)
    assert [command.step for command in build.commands] == ["dependencies"]
    assert await shop.active(build) == before.id


async def test_it_answers_no_build_that_wants_a_page(shop: Shop) -> None:
    await shop.build(dependencies_only=True)
    build = await shop.build()
    assert await shop.page(build)
    assert await shop.active(build) == build.id
    assert (await shop.decided(build, "dependencies")).hit


async def test_a_project_that_needs_a_server_gets_its_dependencies(shop: Shop) -> None:
    shop.write("package.json", json.dumps(SERVER))
    refused = await shop.build()
    assert refused.failure is not None
    assert refused.failure.reason == "unsupported"
    build = await shop.build(dependencies_only=True)
    assert (build.status, build.framework) == ("succeeded", "next")
    assert [command.step for command in build.commands] == ["dependencies"]


async def test_the_memory_that_it_used_is_none_that_a_whole_build_needs(shop: Shop) -> None:
    shop.executor.acts["npm"] = Act(writes={"node_modules/x/index.js": b"good"}, memory_bytes=70_000_000)
    build = await shop.build(dependencies_only=True)
    assert build.peak_memory_bytes == 70_000_000
    async with shop.services.db.read() as c:
        assert (await line.peaks(c, build.id)).project is None
