"""Whole builds without processes: the real pipeline over the fake executor, with tool chains that are empty directories."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from headrace.bootstrap import open_services, working
from headrace.executor.fake import Act, FakeExecutor
from headrace.layers.toolchain import tool_key
from headrace.model.artifact import Manifest
from headrace.model.build import Build, BuildOptions
from headrace.model.event import CacheDecision, Event
from headrace.model.sandbox import HostUse, SandboxCommand
from headrace.model.version import DirectorySource
from headrace.pipeline.here import build_here, project_of
from headrace.pipeline.plan import plan_version
from headrace.pipeline.services import Services
from headrace.pipeline.source import add_version
from headrace.pipeline.work import Worker
from headrace.records import decisions, deployments
from headrace.settings import Settings


@dataclass
class Shop:
    """A project of one dependency, whose page says what that dependency is."""

    services: Services
    worker: Worker
    directory: Path
    executor: FakeExecutor
    #: What an install writes into the dependency.
    installs: str = "good"
    #: Hosts that an install reaches.
    reaches: tuple[str, ...] = ()
    #: Called when an install runs.
    installing: Callable[[], None] = lambda: None
    #: Called instead of the usual build command.
    building: Callable[[SandboxCommand, Path], Act] | None = None

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def lock(self, version: str) -> None:
        """Another version of the dependency in the lock file."""
        packages = {"": {"dependencies": {"x": version}}, "node_modules/x": {"version": version}}
        others = {f"node_modules/y{number}": {"version": "1.0.0"} for number in range(20)}
        lock = {"name": "shop", "lockfileVersion": 3, "packages": packages | others}
        self.write("package-lock.json", json.dumps(lock, indent=1))

    async def build(self, **options: object) -> Build:
        source = DirectorySource(path=str(self.directory))
        return await build_here(self.services, self.worker, source, BuildOptions.model_validate(options))

    async def decided(self, build: Build, cache: str) -> CacheDecision:
        async with self.services.db.read() as c:
            return next(one for one in await decisions.of_build(c, build.id) if one.cache == cache)

    async def events(self, build: Build, kind: str) -> list[Event]:
        return [event for event in await self.services.events.read(build.id, after=0, limit=1000) if event.type == kind]

    async def page(self, build: Build) -> str:
        assert build.artifact is not None, build.failure
        manifest = Manifest.model_validate_json(await self.services.store.read(build.artifact))
        digest = next(file.digest for file in manifest.files if file.path == "index.html")
        return (await self.services.store.read(digest)).decode()

    async def active(self, build: Build) -> str | None:
        """The build that the project's own address shows."""
        async with self.services.db.read() as c:
            live = await deployments.active(c, build.project_id)
        return live.build_id if live else None

    def npm(self, command: SandboxCommand, directory: Path) -> Act:
        if command.argv[-1] == "vite build":
            if self.building:
                return self.building(command, directory)
            said = (directory / "node_modules/x/index.js").read_text()
            return Act(writes={"dist/index.html": f"<title>Shop</title>{said}".encode()})
        self.installing()
        at = "2026-11-20T12:00:00.000Z"
        uses = [
            HostUse(host=host, port=443, connections=1, bytes_down=7, first_at=at, last_at=at) for host in self.reaches
        ]
        return Act(writes={"node_modules/x/index.js": self.installs.encode()}, network=uses)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    directory = tmp_path / "shop"
    directory.mkdir()
    package = {"name": "shop", "scripts": {"build": "vite build"}, "dependencies": {"x": "*", "vite": "8.0.0"}}
    # No registry answers here: what is not fetched yet can't be.
    settings = Settings(data_dir=tmp_path / "data", executor="fake", npm_registry="http://127.0.0.1:9")
    async with open_services(settings) as services, working(services) as worker:
        executor = services.executor("fake")
        assert isinstance(executor, FakeExecutor)
        shop = Shop(services, worker, directory, executor)
        shop.write("package.json", json.dumps(package))
        shop.write("index.html", "<title>Shop</title>")
        shop.lock("1.0.0")
        executor.acts["npm"] = executor.acts["sh"] = shop.npm
        await _know_tools(shop)
        yield shop


async def _know_tools(shop: Shop) -> None:
    source = DirectorySource(path=str(shop.directory))
    project = await project_of(shop.services, source)
    fetched = await shop.services.sources["directory"].fetch(source, shop.directory, seconds=10)
    version = await add_version(shop.services, project, fetched)
    for tool in (await plan_version(shop.services, project, version)).plan.tools:
        with shop.services.tools.scratch() as scratch:
            shop.services.tools.commit(tool_key(tool), scratch, made_by="", seconds=0, scope="")
