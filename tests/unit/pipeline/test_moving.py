"""What a command wrote is moved away by one attempt at a time."""

import asyncio
from pathlib import Path

import pytest

from headrace.bootstrap import open_services
from headrace.errors import LeaseLost, found
from headrace.model.event import BuildCreated
from headrace.model.project import Project
from headrace.pipeline.context import Context
from headrace.pipeline.services import Services
from headrace.records import builds, projects
from headrace.settings import Settings

BUILD, PROJECT, VERSION = (f"{kind}_01m7xpeyhy9gptce7gk34taj0d" for kind in ("build", "prj", "ver"))


async def attempt(services: Services, worker: str) -> Context:
    """Of a worker that takes the build from whoever had it."""
    async with services.db.write() as c:
        for before in ("w-1", "w-2"):
            await builds.expire(c, before)
        lease = await builds.claim(c, BUILD, worker, 60)
    async with services.db.read() as c:
        project = found(await projects.get(c, PROJECT), PROJECT)
        build = found(await builds.get(c, BUILD), BUILD)
    assert lease
    return Context(services=services, project=project, build=build, lease=lease, executor=services.executor("fake"))


async def test_the_next_attempt_waits_for_the_one_that_moves_and_the_first_may_not_again(tmp_path: Path) -> None:
    async with open_services(Settings(data_dir=tmp_path, executor="fake")) as services:
        made = Project(id=PROJECT, workspace="default", name="Shop", slug="shop", created_at="2026-11-20T00:00:00.000Z")
        async with services.db.write() as c:
            await projects.insert(c, made)
        await services.journal.record(BuildCreated(build_id=BUILD, project_id=PROJECT, version_id=VERSION))
        done = []

        async def move(ctx: Context) -> None:
            async with ctx.moving():
                done.append(ctx.lease.worker)

        first = await attempt(services, "w-1")
        async with first.moving(), asyncio.timeout(30):
            second = asyncio.create_task(move(await attempt(services, "w-2")))
            await asyncio.sleep(0.2)
            assert done == []
        async with asyncio.timeout(30):
            await second
        assert done == ["w-2"]
        with pytest.raises(LeaseLost):
            await move(first)
