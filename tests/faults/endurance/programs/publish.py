"""A build from its request to its address."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from endurance.programs import begin, promise, ready
from headrace.bootstrap import open_services, working
from headrace.model.artifact import Manifest
from headrace.model.build import BuildOptions
from headrace.model.ids import new_id
from headrace.model.project import Project
from headrace.model.version import DirectorySource
from headrace.pipeline.cache_check import check_caches
from headrace.pipeline.request import request_build
from headrace.pipeline.services import Services
from headrace.pipeline.work import Worker
from headrace.records import builds, deployments, projects
from headrace.settings import Settings


def run(directory: Path, times: int) -> None:
    asyncio.run(_publish(directory, times))


async def _publish(directory: Path, times: int) -> None:
    async with open_services(fake_settings(directory)) as services:
        project = await site_project(services, directory)
        promise(f"project {project.id}")
        ready()
        for number in range(times):
            write_site(directory, number)
            build, _ = await request_build(services, project, None, BuildOptions(force=True))
            promise(f"build {build.id}")
            await Worker(services).handle(build.id)
            promise(f"ended {build.id}")


def check(directory: Path, promised: Sequence[str], *, rebooted: bool) -> None:
    asyncio.run(_check_publish(directory, promised))


async def _check_publish(directory: Path, promised: Sequence[str]) -> None:
    write_site(directory, 0)
    async with open_services(fake_settings(directory)) as services:
        async with working(services):
            await asyncio.wait_for(_until_all_ended(services, directory / "data" / "builds"), 30)
        for line in promised:
            kind, _, name = line.partition(" ")
            async with services.db.read() as c:
                assert await (projects if kind == "project" else builds).get(c, name), f"{line} is gone"
        async with services.db.read() as c:
            every = await builds.page(c, limit=10_000)
        for build in every:
            assert build.status == "succeeded", f"{build.id} {build.status}: {build.failure}"
            async with services.db.read() as c:
                deployment = await deployments.of_build(c, build.id)
            assert deployment, f"{build.id} succeeded, and is nowhere"
            manifest = Manifest.model_validate_json(await services.store.read(deployment.artifact))
            for file in manifest.files:
                await services.store.read(file.digest)
            numbers = [event.seq for event in await services.events.read(build.id, limit=10_000)]
            assert numbers == list(range(1, len(numbers) + 1)), f"{build.id} has a gap: {numbers}"
            assert await services.events.closed(build.id), f"the log of {build.id} is open"
        damaged = (await check_caches(services)).damaged
        assert not damaged, f"damaged: {damaged}"
    _check_database(directory / "data" / "headrace.db")


async def _until_all_ended(services: Services, scratch: Path) -> None:
    """And until nothing is left of them."""
    while True:
        async with services.db.read() as c:
            if not await builds.unfinished(c) and not list(scratch.glob("*")):
                return
        await asyncio.sleep(0.01)


def fake_settings(directory: Path) -> Settings:
    return Settings(data_dir=directory / "data", executor="fake", log_level="error")


async def site_project(services: Services, directory: Path) -> Project:
    write_site(directory, 0)
    project = Project(
        id=new_id("prj"),
        workspace="default",
        name="Site",
        slug=f"site-{time.time_ns()}",
        source=DirectorySource(path=str(directory / "site")),
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    async with services.db.write() as c:
        await projects.insert(c, project)
    return project


def write_site(directory: Path, number: int) -> None:
    site = directory / "site"
    site.mkdir(exist_ok=True)
    (site / "index.html").write_text(f"<h1>release {number}</h1>")
    # Larger than what is packed, so that it becomes a file of the store.
    (site / "large.js").write_text(f"// {number}\n" + "x" * 40_000)


def _check_database(path: Path) -> None:
    db = sqlite3.connect(path)
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    finally:
        db.close()


if __name__ == "__main__":
    begin(run, check)
