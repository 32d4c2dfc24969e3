"""A build without a network gives what it gave with one, or says what is missing."""

from tests.unit.pipeline.conftest import Shop

from headrace.model.build import BuildOptions
from headrace.model.version import GitSource
from headrace.pipeline.here import build_here


async def test_everything_cached_is_built_again_without_a_network(shop: Shop) -> None:
    (shop.directory / "headrace.toml").write_text('[build]\nnetwork = "internet"\n')
    made = await shop.build()
    again = await shop.build(offline=True, force=True)
    assert again.id != made.id
    assert (again.status, again.artifact) == ("succeeded", made.artifact)
    networks = {command.step: command.egress.phase for command in shop.executor.started[-1:]}
    assert networks == {"build": "none"}
    assert [command.network for command in again.commands] == ["none"]
    assert next(command.network for command in made.commands if command.step == "build") == "internet"


async def test_dependencies_that_are_not_here_are_named(shop: Shop) -> None:
    await shop.build()
    shop.lock("2.0.0")
    build = await shop.build(offline=True)
    assert build.failure is not None
    assert (build.failure.reason, build.failure.step) == ("offline_miss", "dependencies")
    assert "dependencies of this lock file" in build.failure.message
    # Explained like any other miss.
    assert (await shop.decided(build, "dependencies")).differs == "file package-lock.json"
    assert len(shop.executor.started) == 2


async def test_a_tool_that_is_not_here_is_named(shop: Shop) -> None:
    await shop.build()
    for tool in shop.services.tools.all():
        shop.services.tools.remove(tool.key.digest)
    build = await shop.build(offline=True, force=True)
    assert build.failure is not None
    assert (build.failure.reason, build.failure.step) == ("offline_miss", "build")
    assert "the tool node " in build.failure.message


async def test_a_source_that_was_never_fetched_is_named(shop: Shop) -> None:
    source = GitSource(url="https://git.example/shop")
    build = await build_here(shop.services, shop.worker, source, BuildOptions(offline=True))
    assert build.failure is not None
    assert (build.failure.reason, build.failure.step) == ("offline_miss", "source")
