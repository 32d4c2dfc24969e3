"""
What the records promise, on every database they run on: SQLite, and PostgreSQL where `TEST_POSTGRES` has the URL
of an empty one.
"""

import asyncio
import subprocess
import sys

import pytest
from sqlalchemy import text
from tests.contract.records.conftest import (
    NOW,
    claim,
    digest,
    key,
    made_build,
    made_deployment,
    made_project,
    made_version,
)

from headrace.errors import Conflict
from headrace.model.artifact import Artifact
from headrace.model.build import BuildStatus
from headrace.model.event import CacheDecision
from headrace.model.ids import id_after
from headrace.model.job import Lease
from headrace.model.plan import CacheKey, StepId
from headrace.model.project import Project
from headrace.model.trust import Trust
from headrace.model.version import DirectorySource, GitSource
from headrace.records import artifacts, builds, decisions, deployments, idempotency, projects, results, versions
from headrace.records.database import Database
from headrace.records.idempotency import StillRunning, StoredResponse

# Projects


async def test_a_project_is_read_as_it_was_written(db: Database) -> None:
    project = await made_project(db, source=GitSource(url="https://host.example/a.git", ref="main"), name="Ünï 'quote'")
    async with db.read() as c:
        assert await projects.get(c, project.id) == project
        assert await projects.by_slug(c, project.slug) == project


async def test_a_taken_slug_is_a_conflict_also_between_workspaces(db: Database, project: Project) -> None:
    with pytest.raises(Conflict) as caught:
        await made_project(db, slug=project.slug, workspace="other")
    assert caught.value.exact_code == "slug.taken"


async def test_a_project_of_another_workspace_is_not_there(db: Database, project: Project) -> None:
    async with db.read() as c:
        assert await projects.get(c, project.id, workspace="other") is None
        assert await projects.page(c, "other") == []


async def test_a_project_is_found_by_its_whole_source(db: Database) -> None:
    main = GitSource(url="https://host.example/a.git", ref="main")
    project = await made_project(db, source=main)
    async with db.read() as c:
        assert await projects.by_source(c, "default", main) == project
        assert await projects.by_source(c, "default", main.but(ref=None)) is None
        assert await projects.by_source(c, "default", DirectorySource(path="/a")) is None


async def test_a_free_slug_gets_the_next_number(db: Database) -> None:
    for slug in ("shop", "shop-2", "shopping"):
        await made_project(db, slug=slug)
    async with db.read() as c:
        assert await projects.free_slug(c, "shop") == "shop-3"
        assert await projects.free_slug(c, "shopp") == "shopp"


async def test_pages_hold_every_project_once_the_newest_first(db: Database) -> None:
    made = [(await made_project(db)).id for _ in range(7)]
    seen: list[str] = []
    while True:
        async with db.read() as c:
            page = await projects.page(c, "default", after=seen[-1] if seen else None, limit=3)
        if not page:
            break
        seen += [project.id for project in page]
    assert seen == made[::-1]


async def test_a_changed_slug_takes_the_address_along(db: Database, project: Project) -> None:
    deployment = await made_deployment(db, await made_build(db, project))
    async with db.write() as c:
        await deployments.activate(c, deployment)
        await projects.update(c, project.but(slug="renamed"))
    async with db.read() as c:
        assert await deployments.by_label(c, "renamed") == deployment
        assert await deployments.by_label(c, project.slug) is None


async def test_a_deleted_project_takes_everything_of_its_own_along(db: Database, project: Project) -> None:
    build = await made_build(db, project)
    version = await made_version(db, project, digest("a"))
    deployment = await made_deployment(db, build)
    async with db.write() as c:
        await deployments.activate(c, deployment)
        await results.save(c, key("a"), build_id=build.id, artifact=digest("b"), seconds=1, project_id=project.id)
        assert await projects.delete(c, project.id)
        assert not await projects.delete(c, project.id)
    async with db.read() as c:
        assert await builds.get(c, build.id) is None
        assert await versions.get(c, version.id) is None
        assert await deployments.by_label(c, project.slug) is None
        assert await results.get(c, digest("a"), project_id=project.id) is None


# Versions


async def test_versions_are_found_by_id_and_as_the_newest(db: Database, project: Project) -> None:
    first = await made_version(db, project, digest("a"))
    second = await made_version(db, project, digest("b"))
    async with db.read() as c:
        assert await versions.newest(c, project.id) == second
        assert await versions.page(c, project.id, after=second.id) == [first]
        assert await versions.get(c, first.id, workspace="other") is None


async def test_an_untrusted_version_is_never_the_newest_one(db: Database, project: Project) -> None:
    first = await made_version(db, project, digest("a"))
    stranger = await made_version(db, project, digest("b"), trust=Trust.UNTRUSTED)
    async with db.write() as c:
        assert await versions.newest(c, project.id) == first
        assert await versions.newest(c, project.id, Trust.UNTRUSTED) == stranger
        assert await versions.page(c, project.id) == [stranger, first]
        assert await versions.page(c, project.id, trust=Trust.TRUSTED) == [first]
        # What a sync stores follows the trusted one: strangers can't hold it up.
        after = first.but(id=id_after("ver", first.id), parent=first.id)
        assert not await versions.insert_next(c, after.but(parent=stranger.id))
        assert await versions.insert_next(c, after)


# Builds


async def test_saving_a_fold_leaves_the_lease_the_cancel_flag_and_the_active_mark(
    db: Database, project: Project
) -> None:
    build = await made_build(db, project)
    deployment = await made_deployment(db, build)
    lease = await claim(db)
    assert lease
    async with db.write() as c:
        await builds.request_cancel(c, build.id)
        await deployments.activate(c, deployment)
        await builds.save(c, build.but(status=BuildStatus.BUILDING, seen=3))
    async with db.read() as c:
        saved = await builds.get(c, build.id)
        assert saved == build.but(status=BuildStatus.BUILDING, seen=3, active=True)
        assert await builds.holds(c, lease)
        assert await builds.cancel_requested(c, [build.id, "build_unknown"]) == {build.id}


async def test_equal_inputs_find_the_newest_success_of_the_same_project(db: Database, project: Project) -> None:
    other = await made_project(db)
    same = {"result_key": digest("a"), "status": BuildStatus.SUCCEEDED}
    made = [
        await made_build(db, project, **same),
        await made_build(db, project, **same),
        await made_build(db, other, **same),
    ]
    await made_build(db, project, result_key=digest("a"), status=BuildStatus.FAILED)
    async with db.write() as c:
        for build in made:
            key = CacheKey(digest=digest("a"), inputs=())
            await results.save(c, key, build_id=build.id, artifact=digest("f"), seconds=1, project_id=build.project_id)
    newest = made[1]
    async with db.read() as c:
        assert await builds.find_result(c, digest("a"), project_id=project.id) == newest
        assert await builds.find_result(c, digest("b"), project_id=project.id) is None


async def test_a_running_twin_is_found_and_waited_for_only_when_it_is_older_and_somebody_has_it(
    db: Database, project: Project
) -> None:
    older = await made_build(db, project, result_key=digest("a"))
    newer = await made_build(db, project, result_key=digest("a"))
    async with db.read() as c:
        assert await builds.with_key_running(c, digest("a"), project_id=project.id) == newer
        assert await builds.twin_at_work(c, digest("a"), project_id=project.id, older_than=newer.id) is None
    assert await claim(db, build_id=older.id)
    async with db.read() as c:
        assert await builds.twin_at_work(c, digest("a"), project_id=project.id, older_than=newer.id) == older.id
        assert await builds.twin_at_work(c, digest("a"), project_id=project.id, older_than=older.id) is None


async def test_lists_are_scoped_by_workspace_project_and_status(db: Database, project: Project) -> None:
    queued = await made_build(db, project)
    done = await made_build(db, project, status=BuildStatus.SUCCEEDED)
    foreign = await made_build(db, await made_project(db, workspace="other"))
    async with db.read() as c:
        assert await builds.page(c, workspace="default") == [done, queued]
        assert await builds.page(c, workspace="other") == [foreign]
        assert await builds.page(c, project_id=project.id, status=BuildStatus.QUEUED) == [queued]
        assert await builds.get(c, foreign.id, workspace="default") is None
        assert await builds.unfinished(c) == [queued, foreign]
        assert await builds.counts(c) == {BuildStatus.QUEUED: 2, BuildStatus.BUILDING: 0}


# Leases


async def test_a_build_is_claimed_once_until_its_lease_ends(db: Database, project: Project) -> None:
    build = await made_build(db, project)
    first = await claim(db, "w1", seconds=1)
    assert first == Lease(build_id=build.id, worker="w1", fence=1)
    assert await claim(db, "w2") is None
    await asyncio.sleep(1.05)
    second = await claim(db, "w2")
    assert second == Lease(build_id=build.id, worker="w2", fence=2)
    async with db.read() as c:
        assert not await builds.holds(c, first)
        assert await builds.holds(c, second)


async def test_the_oldest_build_is_claimed_first_and_an_ended_one_never(db: Database, project: Project) -> None:
    await made_build(db, project, status=BuildStatus.CANCELLED)
    older, newer = await made_build(db, project), await made_build(db, project)
    claimed = [await claim(db), await claim(db), await claim(db)]
    assert [lease.build_id if lease else None for lease in claimed] == [older.id, newer.id, None]


async def test_of_many_tasks_each_build_goes_to_exactly_one(db: Database, project: Project) -> None:
    made = {(await made_build(db, project)).id for _ in range(40)}

    async def work(worker: str) -> list[str]:
        taken = []
        while lease := await claim(db, worker):
            taken.append(lease.build_id)
        return taken

    taken = [one for each in await asyncio.gather(*(work(f"w{n}") for n in range(8))) for one in each]
    assert sorted(taken) == sorted(made)


_CLAIM_ALL = """
import asyncio, sys
from headrace.records import builds
from headrace.model.line import next_of
from headrace.records import line
from headrace.records.database import Database

async def run(url, worker):
    db = await Database.open(url)
    while True:
        async with db.write() as c:
            chosen = next_of(await line.line(c))
            if chosen is None:
                break
            lease = await builds.claim(c, chosen.build_id, worker, 60, reserved_bytes=1)
        print(lease.build_id)
    await db.close()

asyncio.run(run(*sys.argv[1:]))
"""


async def test_of_many_processes_each_build_goes_to_exactly_one(db: Database, url: str, project: Project) -> None:
    made = {(await made_build(db, project)).id for _ in range(60)}
    running = [
        subprocess.Popen([sys.executable, "-c", _CLAIM_ALL, url, f"w{n}"], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
        for n in range(3)
    ]
    printed = [await asyncio.to_thread(process.communicate) for process in running]
    assert all(process.returncode == 0 for process in running)
    assert sorted("".join(out for out, _ in printed).split()) == sorted(made)


async def test_a_renewed_lease_does_not_end_and_a_lost_one_is_not_renewed(db: Database, project: Project) -> None:
    kept = await made_build(db, project)
    lost = await made_build(db, project)
    mine, gone = await claim(db, "w1", kept.id, 1), await claim(db, "w1", lost.id, 0.0)
    assert mine
    assert gone
    await asyncio.sleep(0.01)
    # By the same worker: an attempt that it began anew is another one.
    assert await claim(db, "w1", lost.id)
    async with db.write() as c:
        assert await builds.renew(c, mine, 20)
        assert not await builds.renew(c, gone, 20)
    await asyncio.sleep(1.05)
    assert await claim(db, "w2", kept.id) is None


async def test_a_dead_workers_builds_are_free_at_once_and_its_leases_hold_no_more(
    db: Database, project: Project
) -> None:
    build = await made_build(db, project)
    dead = await claim(db, "w1")
    assert dead
    async with db.write() as c:
        assert await builds.workers(c) == {"w1"}
        assert await builds.expire(c, "w1") == [build.id]
        assert not await builds.holds(c, dead)
        assert await builds.unheld(c) == [build.id]
    lease = await claim(db, "w2")
    assert lease
    assert lease.fence == 2


async def test_only_the_holder_can_release(db: Database, project: Project) -> None:
    build = await made_build(db, project)
    old = await claim(db, "w1", seconds=0)
    await asyncio.sleep(0.01)
    new = await claim(db, "w2")
    assert old
    assert new
    async with db.write() as c:
        await builds.release(c, old)
        assert await builds.holds(c, new)
        await builds.release(c, new)
        assert await builds.unheld(c) == [build.id]


async def test_an_ended_build_cannot_be_asked_to_cancel(db: Database, project: Project) -> None:
    build = await made_build(db, project, status=BuildStatus.FAILED)
    async with db.write() as c:
        assert not await builds.request_cancel(c, build.id)
        assert not await builds.request_cancel(c, "build_unknown")
        assert await builds.cancel_requested(c, []) == set()


# Deployments


async def test_activating_moves_the_address_and_the_mark(db: Database, project: Project) -> None:
    first, second = await made_build(db, project), await made_build(db, project)
    one, two = await made_deployment(db, first), await made_deployment(db, second)
    async with db.write() as c:
        assert await deployments.activate(c, one)
        assert await deployments.by_label(c, project.slug) == one
        assert await deployments.activate(c, two)
    async with db.read() as c:
        assert await deployments.by_label(c, project.slug) == two
        assert await deployments.by_label(c, one.label) == one
        assert [build.active for build in await builds.page(c, project_id=project.id)] == [True, False]
        assert await deployments.live_artifacts(c) == {digest("d")}


async def test_an_older_build_that_ends_later_does_not_take_the_address_back(db: Database, project: Project) -> None:
    older = await made_deployment(db, await made_build(db, project))
    newer = await made_deployment(db, await made_build(db, project))
    async with db.write() as c:
        assert await deployments.activate(c, newer, unless_newer=True)
        assert not await deployments.activate(c, older, unless_newer=True)
        assert await deployments.active(c, project.id) == newer
        assert await deployments.activate(c, older)  # somebody rolls back on purpose
        assert await deployments.active(c, project.id) == older


async def test_a_project_off_its_address_keeps_its_builds_addresses(db: Database, project: Project) -> None:
    deployment = await made_deployment(db, await made_build(db, project))
    async with db.write() as c:
        await deployments.activate(c, deployment)
        await deployments.deactivate(c, project.id)
        assert await deployments.by_label(c, project.slug) is None
        assert await deployments.by_label(c, deployment.label) == deployment


# Artifacts, results, decisions


async def test_an_artifact_may_be_saved_twice(db: Database) -> None:
    artifact = Artifact(digest=digest("a"), files=3, bytes=2**40)
    async with db.write() as c:
        await artifacts.insert(c, artifact)
        await artifacts.insert(c, artifact)
        assert await artifacts.get(c, artifact.digest) == artifact
        assert artifact.digest in await artifacts.all_digests(c)
        await artifacts.delete(c, artifact.digest)
        assert await artifacts.get(c, artifact.digest) is None


async def test_a_result_belongs_to_its_project(db: Database, project: Project) -> None:
    build = await made_build(db, project)
    async with db.write() as c:
        await results.save(c, key("a"), build_id=build.id, artifact=digest("b"), seconds=1.5, project_id=project.id)
        found = await results.get(c, digest("a"), project_id=project.id)
        assert found is not None
        assert (found.key, found.seconds, found.build_id) == (key("a"), 1.5, build.id)
        assert await results.get(c, digest("a"), project_id="prj_other") is None


async def test_the_last_inputs_are_those_of_the_last_build_for_each_cache(db: Database, project: Project) -> None:
    async with db.write() as c:
        for letter in "ab":
            await results.save_inputs(c, project.id, "result", key(letter))
        assert await results.last_inputs(c, project.id, "result") == key("b")
        assert await results.last_inputs(c, project.id, "dependencies") is None


async def test_decisions_come_back_in_the_order_of_the_log(db: Database, project: Project) -> None:
    build = await made_build(db, project)
    made = [
        CacheDecision(
            seq=seq,
            ts=NOW,
            build_id=build.id,
            step=StepId.PLAN,
            cache="result",
            key=key("a"),
            hit=False,
            explanation="x",
        )
        for seq in (9, 4, 9)
    ]
    async with db.write() as c:
        for decision in made:
            await decisions.save(c, decision)
        assert [decision.seq for decision in await decisions.of_build(c, build.id)] == [4, 9]


# Idempotency


async def test_a_request_is_first_once_then_running_then_answered(db: Database) -> None:
    response = StoredResponse(status=201, headers={"location": "/x"}, body={"id": "x", "n": None})
    async with db.write() as c:
        assert await idempotency.begin(c, "k", digest("a")) is None
        with pytest.raises(StillRunning):
            await idempotency.begin(c, "k", digest("a"))
        await idempotency.finish(c, "k", response)
        assert await idempotency.begin(c, "k", digest("a")) == response
        with pytest.raises(Conflict) as caught:
            await idempotency.begin(c, "k", digest("b"))
    assert caught.value.exact_code == "idempotency.conflict"


async def test_a_forgotten_request_may_be_tried_again(db: Database) -> None:
    async with db.write() as c:
        await idempotency.begin(c, "k", digest("a"))
        await idempotency.forget(c, "k")
        assert await idempotency.begin(c, "k", digest("b")) is None


async def test_keys_end_after_a_day_and_abandoned_ones_after_minutes(db: Database) -> None:
    async with db.write() as c:
        await idempotency.begin(c, "abandoned", digest("a"))
        await idempotency.begin(c, "answered", digest("a"))
        await idempotency.finish(c, "answered", StoredResponse(status=200))
        await c.execute(text("UPDATE idempotency SET begun_at = begun_at - 3600"))
        assert await idempotency.begin(c, "abandoned", digest("b")) is None
        assert await idempotency.begin(c, "answered", digest("a")) is not None
        await c.execute(text("UPDATE idempotency SET begun_at = begun_at - 90000"))
        assert await idempotency.begin(c, "answered", digest("b")) is None
