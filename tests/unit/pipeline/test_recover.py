"""What a worker leaves that dies at the wrong moment is found and removed."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Never

import pytest
from tests.unit.pipeline.conftest import Shop
from tests.waiting import until

from headrace.bootstrap import open_services
from headrace.errors import Unavailable
from headrace.executor.base import Sandbox
from headrace.executor.fake import FakeExecutor
from headrace.model.artifact import Artifact
from headrace.model.deployment import Deployment
from headrace.model.event import BuildCompleted, BuildCreated
from headrace.model.plan import StepId
from headrace.model.project import Project
from headrace.model.sandbox import SandboxSpec
from headrace.pipeline import run, work
from headrace.pipeline.context import Context, sandbox_name
from headrace.pipeline.deploy import deploy
from headrace.pipeline.recover import recover, sweep
from headrace.pipeline.services import Services
from headrace.records import builds, projects
from headrace.settings import Settings

BUILD, PROJECT, VERSION = (f"{kind}_01m7xpeyhy9gptce7gk34taj0d" for kind in ("build", "prj", "ver"))
ENDED = {
    "build_id": BUILD,
    "status": "failed",
    "seconds": 1,
    "failure": {"reason": "internal", "step": "build", "message": "broke"},
}


async def _a_build_with_a_sandbox(services: Services) -> None:
    project = Project(id=PROJECT, workspace="default", name="Shop", slug="shop", created_at="2026-11-20T00:00:00.000Z")
    async with services.db.write() as c:
        await projects.insert(c, project)
    await services.journal.record(BuildCreated(build_id=BUILD, project_id=PROJECT, version_id=VERSION))
    (services.settings.data_dir / "builds" / BUILD).mkdir(parents=True)
    name = sandbox_name(BUILD, StepId.BUILD)
    await services.executor("fake").open(SandboxSpec(id=name, build_id=BUILD, layers=()))


async def _left(services: Services) -> list[str]:
    scratch = [path.name for path in (services.settings.data_dir / "builds").iterdir()]
    return [*scratch, *await services.executor("fake").existing()]


async def test_a_build_that_ended_in_its_log_alone_keeps_nothing(tmp_path: Path) -> None:
    async with open_services(Settings(data_dir=tmp_path, executor="fake")) as services:
        await _a_build_with_a_sandbox(services)
        # A worker that died here wrote the log and not the row.
        await services.events.append(BUILD, [BuildCompleted.model_validate(ENDED)], close=True)
        await sweep(services)
        assert await _left(services) == []


async def test_a_build_that_goes_on_keeps_its_sandbox(tmp_path: Path) -> None:
    async with open_services(Settings(data_dir=tmp_path, executor="fake")) as services:
        await _a_build_with_a_sandbox(services)
        await sweep(services)
        assert await _left(services) == [BUILD, sandbox_name(BUILD, StepId.BUILD)]


async def test_what_a_dead_worker_left_goes_without_a_restart(tmp_path: Path) -> None:
    async with open_services(Settings(data_dir=tmp_path, executor="fake")) as services:
        await _a_build_with_a_sandbox(services)
        await services.journal.record(BuildCompleted.model_validate(ENDED), close=True)
        # It recorded the end, and died before it closed the sandbox: its lock file is there, and nobody holds it.
        (tmp_path / "workers" / "w-1-dead.lock").touch()
        await recover(services)
        assert await _left(services) == []
        assert not (tmp_path / "workers" / "w-1-dead.lock").exists()


async def test_a_worker_that_comes_back_to_a_build_that_others_ended_leaves_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, opened = shop.services, list[str]()

    async def opens_too_late(spec: SandboxSpec) -> Sandbox:
        opened.append(spec.id)
        async with services.db.write() as c:
            await builds.expire(c, services.worker)
            assert spec.build_id
            lease = await builds.claim(c, spec.build_id, "w-2-other", 30)
        ended = BuildCompleted.model_validate({**ENDED, "build_id": spec.build_id})
        await services.journal.record(ended, lease=lease, close=True)
        return await FakeExecutor.open(shop.executor, spec)

    monkeypatch.setattr(shop.executor, "open", opens_too_late)
    build = await shop.build()
    assert build.failure
    assert build.failure.message == "broke"
    while shop.worker.running:
        await asyncio.sleep(0.01)
    assert len(opened) == 1
    assert await _left(services) == []


async def test_a_sandbox_whose_opening_is_cancelled_is_known_to_whoever_closes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, opened = asyncio.Event(), threading.Event()

    def make(spec: SandboxSpec) -> Sandbox:
        time.sleep(0.3)
        sandbox = asyncio.run(FakeExecutor.open(shop.executor, spec))
        opened.set()
        return sandbox

    async def opens_slowly(spec: SandboxSpec) -> Sandbox:
        begun.set()
        return await asyncio.to_thread(make, spec)

    monkeypatch.setattr(shop.executor, "open", opens_slowly)
    building = asyncio.create_task(shop.build())
    await begun.wait()
    (ctx,) = shop.worker._running.values()
    shop.worker.notice_cancel(ctx.build.id)
    build = await building
    assert build.status == "cancelled"
    await until(lambda: opened.is_set() and not shop.worker.running)
    async with asyncio.timeout(30):
        while await _left(shop.services):
            await asyncio.sleep(0.01)


async def test_a_command_whose_work_went_with_the_machine_is_not_run_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, loop = list[str](), asyncio.get_running_loop()

    async def logged(build_id: str) -> None:
        events = shop.services.events
        while not [
            one for one in await events.read(build_id, after=0, limit=1000) if one.type == "build.command.completed"
        ]:
            await asyncio.sleep(0.01)

    def dies(*_: object, made_by: str, **__: object) -> Never:
        """When the install has ended, and before the layer is kept."""
        runs.append(made_by)
        asyncio.run_coroutine_threadsafe(logged(made_by), loop).result(30)
        gone = shop.executor.discard(sandbox_name(made_by, StepId.DEPENDENCIES))
        asyncio.run_coroutine_threadsafe(gone, loop).result(10)
        raise Unavailable("no power", code="storage.busy")

    monkeypatch.setattr(work, "_REST_SECONDS", 0.0)
    monkeypatch.setattr(shop.services.layers, "commit", dies)
    build = await shop.build()
    assert len(runs) == 1
    assert build.failure
    assert (build.failure.reason, build.failure.step) == ("sandbox_died", "dependencies")
    assert len(await shop.events(build, "build.started")) == 2
    assert len(await shop.events(build, "build.command.started")) == 1


async def test_a_build_that_was_deployed_when_the_machine_went_has_succeeded(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    installs = list[str]()

    async def dies(ctx: Context, artifact: Artifact) -> Deployment:
        """When visitors see it; and with the machine goes what it was made of."""
        await deploy(ctx, artifact)
        await ctx.flush()
        for layer in shop.services.layers.all():
            shop.services.layers.remove(layer.key.digest)
        await ctx.close_sandboxes()
        installs.append(ctx.build.id)
        raise Unavailable("no power", code="storage.busy")

    monkeypatch.setattr(work, "_REST_SECONDS", 0.0)
    monkeypatch.setattr(run, "deploy", dies)
    build = await shop.build()
    assert build.status == "succeeded", build.failure
    assert len(installs) == 1
    assert await shop.active(build) == build.id
    assert await shop.page(build)
    assert len(await shop.events(build, "build.started")) == 2
    assert len(await shop.events(build, "build.command.started")) == 2
