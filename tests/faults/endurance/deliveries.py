"""
Messages that say "there is work" come more than once, late, and in any order: to several workers that share a data directory.
Each build must be started once, and end once.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from endurance.programs.publish import fake_settings, site_project, write_site
from headrace.bootstrap import open_services
from headrace.errors import Conflict
from headrace.model.build import Build, BuildOptions
from headrace.pipeline.request import cancel_build, request_build
from headrace.pipeline.services import Services
from headrace.pipeline.work import Worker
from headrace.records import builds, deployments

_Step = tuple[Callable[[Build], Awaitable[None]], Build]

_WORKERS = 3
#: Messages that one worker looks at together.
_TOGETHER = 8


class Delivered(NamedTuple):
    messages: int
    builds: int
    cancelled: int
    #: Of the slowest message for a build that has ended.
    seconds: float


def deliver(directory: Path, count: int, times: int, chance: random.Random) -> Delivered:
    """So many builds, and for each so many messages; some builds are cancelled meanwhile. Raises AssertionError."""
    return asyncio.run(_deliver(directory, count, times, chance))


async def _deliver(directory: Path, count: int, times: int, chance: random.Random) -> Delivered:
    async with AsyncExitStack() as stack:
        settings = fake_settings(directory)
        every = [await stack.enter_async_context(open_services(settings)) for _ in range(_WORKERS)]
        project = await site_project(every[0], directory)
        made = []
        for number in range(count):
            write_site(directory, number)
            made.append((await request_build(every[0], project, None, BuildOptions(force=True)))[0])
        workers = [Worker(services) for services in every]
        for services, worker in zip(every, workers, strict=True):
            services.queue.on_cancel = worker.notice_cancel  # type: ignore[attr-defined]  # the queue inside a process has it

        async def message(build: Build) -> None:
            await chance.choice(workers).handle(build.id)

        async def cancel(build: Build) -> None:
            try:
                await cancel_build(chance.choice(every), build, "test")
            except Conflict as exc:
                if exc.exact_code != "build.already_terminal":
                    raise

        steps: list[_Step] = [(message, build) for build in made for _ in range(times)]
        chance.shuffle(steps)
        for build in made:
            # Early, or all would have ended: a message brings every build that waits to its end.
            if chance.random() < 0.3:
                steps.insert(chance.randrange(_WORKERS), (cancel, build))
        await _all(steps, _WORKERS * _TOGETHER)
        cancelled = 0
        for build in made:
            cancelled += await _has_one_end(every[1], build) == "cancelled"
        slowest = 0.0
        for build in made:
            began = time.monotonic()
            await message(build)
            slowest = max(slowest, time.monotonic() - began)
            await _has_one_end(every[2], build)
        return Delivered(len(made) * (times + 1), len(made), cancelled, slowest)


async def _all(steps: Sequence[_Step], together: int) -> None:
    room = asyncio.Semaphore(together)

    async def take(step: Callable[[Build], Awaitable[None]], build: Build) -> None:
        async with room:
            await step(build)

    async with asyncio.TaskGroup() as group:
        for step, build in steps:
            group.create_task(take(step, build))


async def _has_one_end(services: Services, build: Build) -> str:
    async with services.db.read() as c:
        row = await builds.get(c, build.id)
        deployment = await deployments.of_build(c, build.id)
    assert row, f"{build.id} is gone"
    events = await services.events.read(build.id, limit=10_000)
    assert [event.seq for event in events] == list(range(1, len(events) + 1)), f"{build.id} has a gap"
    kinds = [event.type for event in events]
    assert kinds.count("build.started") <= 1, f"{build.id} was started {kinds.count('build.started')} times"
    ends = [event.status for event in events if event.type == "build.completed"]
    assert ends == [row.status], f"{build.id}: row {row.status}, log {ends}"
    assert row.status in ("succeeded", "cancelled"), f"{build.id} {row.status}: {row.failure}"
    assert (deployment is not None) == (row.status == "succeeded"), f"{build.id} {row.status}: {deployment}"
    return row.status
