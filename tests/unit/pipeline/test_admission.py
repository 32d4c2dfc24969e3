"""Which builds are started together, by what earlier ones used, over the real database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from headrace.bootstrap import open_services
from headrace.executor.fake import Act, FakeExecutor
from headrace.model.build import Build, WaitReason
from headrace.model.event import BuildCompleted, BuildCreated, BuildWaiting, CommandCompleted
from headrace.model.ids import new_id
from headrace.model.job import Lease
from headrace.model.limits import MIB, Limits
from headrace.model.line import RunningBuild
from headrace.model.plan import StepId
from headrace.model.project import Project
from headrace.model.sandbox import SandboxCommand, SandboxSpec
from headrace.pipeline.admission import admit, standings
from headrace.pipeline.context import preview_sandboxes, sandbox_name
from headrace.pipeline.memory import Memory, available_bytes
from headrace.pipeline.services import Services
from headrace.pipeline.work import Worker
from headrace.records import builds, line, projects
from headrace.settings import Settings

LIMIT, BUDGET = 800 * MIB, 1000 * MIB


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path, executor="fake", memory_bytes=LIMIT, builds_memory_bytes=BUDGET, builds_at_once=4
    )


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings) as services:
        yield services


async def a_project(services: Services, used: int | None = None, framework: str | None = None) -> Project:
    """A project; its earlier build used so much."""
    name = new_id("prj")
    project = Project(id=name, workspace="default", name="p", slug=name[-20:], created_at="2026-11-20T00:00:00.000Z")
    async with services.db.write() as c:
        await projects.insert(c, project)
    if used is not None:
        build = await a_build(services, project, framework)
        ran = CommandCompleted(build_id=build, step=StepId.BUILD, seconds=1, peak_memory_bytes=used)
        await services.journal.record(ran)
        await services.journal.record(
            BuildCompleted.model_validate({"build_id": build, "status": "failed", "seconds": 1}), close=True
        )
    return project


async def a_build(services: Services, project: Project, framework: str | None = None) -> str:
    build_id = new_id("build")
    await services.journal.record(BuildCreated(build_id=build_id, project_id=project.id, framework=framework))
    return build_id


async def admitted(services: Services) -> str | WaitReason | None:
    """The build that was started, or why none was."""
    found = await admit(services)
    return found.build_id if isinstance(found, Lease) else found.reason if found else None


async def reserved(services: Services) -> dict[str, int]:
    async with services.db.read() as c:
        return {build.build_id: build.reserved_bytes for build in (await line.line(c)).running}


async def row(services: Services, build_id: str) -> Build:
    async with services.db.read() as c:
        build = await builds.get(c, build_id)
    assert build
    return build


async def test_builds_run_together_as_far_as_what_earlier_ones_used_fits(services: Services) -> None:
    made = [await a_build(services, await a_project(services, used=320 * MIB)) for _ in range(3)]
    assert [await admitted(services) for _ in made] == [made[0], made[1], WaitReason.MEMORY]
    assert await reserved(services) == dict.fromkeys(made[:2], 400 * MIB)


async def test_a_build_that_nothing_is_known_of_gets_all_that_it_may_have(services: Services) -> None:
    first, second = [await a_build(services, await a_project(services)) for _ in range(2)]
    assert await admitted(services) == first
    assert await reserved(services) == {first: LIMIT}
    waits = await admit(services)
    assert isinstance(waits, BuildWaiting)
    assert (waits.build_id, waits.needed_bytes, waits.free_bytes) == (second, LIMIT, BUDGET - LIMIT)
    assert "nothing like it was built here yet" in waits.message


async def test_a_first_build_is_judged_by_other_projects_with_its_framework(services: Services) -> None:
    for used in (100, 200, 700):
        await a_project(services, used=used * MIB, framework="vite")
    build = await a_build(services, await a_project(services), framework="vite")
    assert await admitted(services) == build
    assert await reserved(services) == {build: 300 * MIB}


async def test_what_needs_more_than_the_whole_budget_runs_alone(settings: Settings) -> None:
    small = settings.model_copy(update={"builds_memory_bytes": 100 * MIB})
    async with open_services(small) as services:
        large, little = await a_build(services, await a_project(services)), await a_project(services, used=10 * MIB)
        assert await admitted(services) == large
        await a_build(services, little)
        assert await admitted(services) is WaitReason.MEMORY


async def test_nobody_overtakes_the_build_that_waits_for_memory(services: Services) -> None:
    running = await a_build(services, await a_project(services, used=400 * MIB))
    large = await a_build(services, await a_project(services, used=640 * MIB))
    small = await a_build(services, await a_project(services, used=10 * MIB))
    assert [await admitted(services) for _ in range(2)] == [running, WaitReason.MEMORY]
    stands = await standings(services, [await row(services, large), await row(services, small)])
    assert (stands[large].ahead, stands[small].ahead) == (0, 1)
    assert "of the first of them: it needs about 800 MiB" in stands[small].message


async def test_what_warm_previews_hold_is_not_there_for_builds(services: Services) -> None:
    first, second = [await a_build(services, await a_project(services, used=320 * MIB)) for _ in range(2)]
    task = await runs(services, f"{preview_sandboxes('w-other')}1", 300 * MIB)
    assert [await admitted(services) for _ in range(2)] == [first, WaitReason.MEMORY]
    waits = await admit(services)
    assert isinstance(waits, BuildWaiting)
    assert "previews hold 300 MiB" in waits.message
    task.cancel()
    await services.executor("fake").discard(f"{preview_sandboxes('w-other')}1")
    assert await admitted(services) == second


async def test_a_build_that_uses_more_than_was_set_aside_leaves_less_to_others(services: Services) -> None:
    first, second = [await a_build(services, await a_project(services, used=320 * MIB)) for _ in range(2)]
    assert await admitted(services) == first
    task = await runs(services, sandbox_name(first, StepId.BUILD), 700 * MIB)
    assert await admitted(services) is WaitReason.MEMORY
    task.cancel()
    await services.executor("fake").discard(sandbox_name(first, StepId.BUILD))
    assert await admitted(services) == second


async def runs(services: Services, sandbox: str, memory: int) -> "asyncio.Task[Any]":
    executor = services.executor("fake")
    assert isinstance(executor, FakeExecutor)
    executor.acts["hold"] = Act(seconds=1000, memory_bytes=memory)
    opened = await executor.open(SandboxSpec(id=sandbox, project_id="prj_x", layers=()))
    command = SandboxCommand(index=0, argv=("hold",), limits=Limits())
    task = asyncio.create_task(opened.run(command, services.settings.data_dir / "log.ndjson"))
    await opened.running()
    return task


async def test_no_more_than_the_operator_allows_run_also_over_several_processes(settings: Settings) -> None:
    two = settings.model_copy(update={"builds_at_once": 2})
    async with open_services(two) as services, open_services(two) as other:
        made = [await a_build(services, await a_project(services, used=MIB)) for _ in range(3)]
        assert [await admitted(services), await admitted(other), await admitted(other)] == [*made[:2], None]
        stands = (await standings(services, [await row(services, made[2])]))[made[2]]
        assert (stands.ahead, stands.reason) == (0, WaitReason.SLOTS)
        assert stands.message == "2 builds run, as many as may at once (HEADRACE_BUILDS_AT_ONCE=2)"


async def test_what_was_set_aside_for_a_dead_workers_build_is_free_and_the_build_goes_first(
    settings: Settings, services: Services
) -> None:
    async with open_services(settings) as dead:
        lost = await a_build(services, await a_project(services, used=600 * MIB))
        assert await admitted(dead) == lost
    waiting = await a_build(services, await a_project(services, used=600 * MIB))
    assert await admitted(services) is WaitReason.MEMORY
    async with services.db.write() as c:
        started = (await row(services, lost)).but(status="building")
        await builds.save(c, started)
        assert await builds.expire(c, dead.worker) == [lost]
    assert await admitted(services) == lost
    assert await admitted(services) is WaitReason.MEMORY
    assert (await row(services, waiting)).status == "queued"


async def test_a_build_that_rests_after_a_fault_keeps_nobody_waiting(services: Services) -> None:
    lost, other = [await a_build(services, await a_project(services, used=MIB)) for _ in range(2)]
    async with services.db.write() as c:
        await builds.save(c, (await row(services, lost)).but(status="building"))
    found = await admit(services, besides={lost})
    assert isinstance(found, Lease)
    assert found.build_id == other
    assert await admit(services, besides={lost}) is None


async def test_why_a_build_waits_is_said_once(services: Services) -> None:
    made = [await a_build(services, await a_project(services)) for _ in range(2)]
    assert await admitted(services) == made[0]
    worker = Worker(services)
    await asyncio.gather(*(worker.handle(made[1]) for _ in range(3)))
    events = await services.events.read(made[1])
    assert [event.type for event in events] == ["build.created", "build.waiting"]
    assert (await row(services, made[1])).waits_for is WaitReason.MEMORY


async def test_a_build_that_was_cancelled_while_it_waited_lets_the_next_one_start(services: Services) -> None:
    from headrace.pipeline.request import cancel_build

    first = await a_build(services, await a_project(services, used=400 * MIB))
    large = await a_build(services, await a_project(services, used=640 * MIB))
    small = await a_build(services, await a_project(services, used=10 * MIB))
    assert [await admitted(services), await admitted(services)] == [first, WaitReason.MEMORY]
    ended = await cancel_build(services, await row(services, large), by="test")
    assert ended.status == "cancelled"
    assert len(services.queue) > 0  # type: ignore[arg-type]  # the queue inside one process has a length
    assert await admitted(services) == small


def running(reserved: int) -> RunningBuild:
    return RunningBuild(workspace="w", project_id="p", build_id=f"b{reserved}", reserved_bytes=reserved)


@pytest.mark.parametrize(
    ("memory", "free"),
    [
        (Memory(budget=1000 * MIB), 500 * MIB),
        (Memory(budget=1000 * MIB, previews=100 * MIB), 400 * MIB),
        # 256 MiB are left to the server, and 500 may still come to be used.
        (Memory(budget=1000 * MIB, available=900 * MIB), 144 * MIB),
        (Memory(budget=1000 * MIB, available=900 * MIB, used={f"b{500 * MIB}": 500 * MIB}), 500 * MIB),
        (Memory(budget=1000 * MIB, available=300 * MIB), -456 * MIB),
    ],
)
def test_what_is_free_is_what_neither_the_operator_nor_the_kernel_needs(memory: Memory, free: int) -> None:
    assert memory.free([running(500 * MIB)]) == free


def test_the_kernel_says_how_much_is_available() -> None:
    free = available_bytes()
    assert free is not None
    assert free > MIB
