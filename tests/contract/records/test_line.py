"""The line of waiting builds in the database: whose turn it is, and what builds before say about memory."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.records.conftest import claim, end, made_build, made_project, release

from headrace.model.build import BuildStatus, CommandState
from headrace.model.job import Lease
from headrace.model.plan import StepId
from headrace.model.project import Project
from headrace.records import builds, line
from headrace.records.database import Database, sqlite_url


async def test_a_project_with_many_builds_lets_another_ones_first_build_pass(db: Database, project: Project) -> None:
    for _ in range(5):
        await made_build(db, project)
    running = await claim(db)
    assert running
    late = await made_build(db, await made_project(db))
    await end(db, running)
    following = await claim(db)
    assert following
    assert following.build_id == late.id


async def test_turns_are_between_workspaces_before_they_are_between_projects(db: Database, project: Project) -> None:
    second, foreign = await made_project(db), await made_project(db, workspace="other")
    made = {}
    for owner in (project, project, second, second, foreign, foreign):
        made[(await made_build(db, owner)).id] = owner.id
    order = []
    for _ in made:
        lease = await claim(db)
        assert lease
        order.append(made[lease.build_id])
        await end(db, lease)
        await asyncio.sleep(0.002)  # turns are told apart by milliseconds
    assert order == [project.id, foreign.id, second.id, foreign.id, project.id, second.id]


async def test_who_runs_has_what_was_set_aside_until_its_lease_ends(db: Database, project: Project) -> None:
    build = await made_build(db, project)
    async with db.write() as c:
        lease = await builds.claim(c, build.id, "w1", 1, reserved_bytes=7)
        assert [(running.build_id, running.reserved_bytes) for running in (await line.line(c)).running] == [
            (build.id, 7)
        ]
    assert lease
    await asyncio.sleep(1.05)
    async with db.read() as c:
        assert (await line.line(c)).running == []


async def test_a_build_that_was_only_ended_has_had_no_turn(db: Database, project: Project) -> None:
    build, _ = await made_build(db, project), await made_build(db, project)
    async with db.write() as c:
        lease = await builds.claim(c, build.id, "w1", 20)
    assert lease
    await release(db, lease)
    async with db.read() as c:
        assert (await line.line(c)).freed_at == {}


async def test_a_started_build_without_a_worker_is_found_before_those_that_wait(db: Database, project: Project) -> None:
    started = await made_build(db, project, status=BuildStatus.BUILDING)
    waiting = await made_build(db, project)
    async with db.read() as c:
        assert await line.abandoned(c) == started.id
        assert [(w.build_id, w.count) for w in (await line.line(c)).waiting] == [(waiting.id, 1)]
        assert await line.ranks(c, [started.id, waiting.id]) == {waiting.id: 0}


def used(memory: int) -> CommandState:
    return CommandState(step=StepId.BUILD, argv=("true",), peak_memory_bytes=memory)


async def test_what_builds_used_is_known_by_project_and_by_framework(db: Database, project: Project) -> None:
    others = [await made_project(db) for _ in range(3)]
    for owner, memory in ((project, 50), (project, 70), (others[0], 100), (others[1], 400)):
        await made_build(db, owner, framework="vite", status=BuildStatus.SUCCEEDED, commands=(used(memory),))
    await made_build(db, project, framework="vite", status=BuildStatus.SUCCEEDED)
    mine, first = await made_build(db, project), await made_build(db, others[2], framework="vite")
    strange = await made_build(db, others[2], framework="hugo")
    async with db.read() as c:
        assert (await line.peaks(c, mine.id)).project == 70
        assert await line.peaks(c, first.id) == (None, "vite", 100)
        assert await line.peaks(c, strange.id) == (None, "hugo", None)


#: A build of one of four projects comes (0 to 3), or the oldest running one ends (4 and 5), or everything is restarted (6).
HAPPENINGS = st.lists(st.integers(0, 6), min_size=8, max_size=25)


@given(happenings=HAPPENINGS)
@settings(max_examples=8, deadline=None)
def test_whatever_happens_a_newcomer_is_passed_at_most_once_by_each_other_workspace(happenings: list[int]) -> None:
    asyncio.run(_newcomer(happenings))


async def _newcomer(happenings: list[int]) -> None:
    with TemporaryDirectory() as place:
        url = sqlite_url(Path(place) / "headrace.db")
        db = await Database.open(url)
        owners = [await made_project(db, workspace=workspace) for workspace in ("a", "a", "b", "b")]
        mine = await made_project(db, workspace="mine")
        workspace_of: dict[str, str] = {}
        held: list[Lease] = []

        async def fill() -> list[str]:
            """Start what two slots take; the workspaces of what was started."""
            started = []
            while len(held) < 2 and (lease := await claim(db)):
                held.append(lease)
                started.append(workspace_of[lease.build_id])
            await asyncio.sleep(0.002)  # turns are told apart by milliseconds
            return started

        async def happens(what: int) -> list[str]:
            nonlocal db
            if what < 4:
                workspace_of[(await made_build(db, owners[what])).id] = owners[what].workspace
            elif what < 6 and held:
                await end(db, held.pop(0))
            elif what == 6:
                await db.close()
                db = await Database.open(url)
            return await fill()

        for what in happenings:
            await happens(what)
        newcomer = (await made_build(db, mine)).id
        workspace_of[newcomer] = "mine"
        passed = await fill()
        for what in (*happenings, *([5] * 60)):
            if "mine" in passed:
                break
            passed += await happens(what)
        await db.close()
    before = passed[: passed.index("mine")]
    assert len(before) == len(set(before))
