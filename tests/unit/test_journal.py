"""The one door for facts: the log first, then the rows, and a crash between the two costs nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import Conflict, LeaseLost, NotFound
from headrace.events.base import Fact
from headrace.events.file import FileEventLog
from headrace.journal import Journal
from headrace.model.build import Build, BuildStatus
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.digest import Digest
from headrace.model.event import (
    BuildCompleted,
    BuildCreated,
    BuildQueued,
    BuildStarted,
    BuildWarning,
    CacheDecision,
    CancelRequested,
    Event,
    Log,
    StepStarted,
)
from headrace.model.fold import fold
from headrace.model.ids import new_id
from headrace.model.job import Lease
from headrace.model.plan import CacheKey, KeyInput, StepId
from headrace.model.project import Project
from headrace.records import builds, decisions, projects, results
from headrace.records.database import Database, Transaction, sqlite_url

DIGEST: Digest = "sha256:" + "a" * 64
ARTIFACT: Digest = "sha256:" + "b" * 64
KEY = CacheKey(digest=DIGEST, inputs=(KeyInput(name="tree", digest=ARTIFACT),))


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(sqlite_url(tmp_path / "headrace.db"))
    yield opened
    await opened.close()


@pytest.fixture
def events(tmp_path: Path) -> FileEventLog:
    return FileEventLog(tmp_path / "logs")


@pytest.fixture
def journal(db: Database, events: FileEventLog) -> Journal:
    return Journal(db, events)


@pytest.fixture
async def project(db: Database) -> Project:
    made = Project(id=new_id("prj"), workspace="default", name="p", slug="p", created_at="2026-11-20T00:00:00.000Z")
    async with db.write() as c:
        await projects.insert(c, made)
    return made


@pytest.fixture
async def build_id(journal: Journal, project: Project) -> str:
    made = await journal.record(BuildCreated(build_id=new_id("build"), project_id=project.id))
    return made.build_id


async def row(db: Database, build_id: str) -> Build:
    async with db.read() as c:
        build = await builds.get(c, build_id)
    assert build is not None
    return build


async def lease_of(db: Database, build_id: str, worker: str = "w1", seconds: float = 20) -> Lease:
    async with db.write() as c:
        lease = await builds.claim(c, build_id, worker, seconds)
    assert lease is not None
    return lease


def completed(build_id: str, **fields: object) -> BuildCompleted:
    given = {"build_id": build_id, "status": BuildStatus.SUCCEEDED, "seconds": 2.5, **fields}
    return BuildCompleted.model_validate(given)


def decision(build_id: str, *, hit: bool = False) -> CacheDecision:
    return CacheDecision(build_id=build_id, step=StepId.PLAN, cache="result", key=KEY, hit=hit, explanation="why")


async def test_a_fact_is_in_the_log_and_in_the_row(
    journal: Journal, db: Database, events: FileEventLog, build_id: str
) -> None:
    stored = await journal.record(BuildQueued(build_id=build_id))
    assert (stored.seq, await events.last(build_id), (await row(db, build_id)).seen) == (2, 2, 2)


async def test_the_row_is_the_fold_of_the_log(
    journal: Journal, db: Database, events: FileEventLog, build_id: str
) -> None:
    await journal.record(BuildStarted(build_id=build_id, worker="w", fence=1, executor="fake"))
    await journal.record_all(
        [StepStarted(build_id=build_id, step=StepId.SOURCE), StepStarted(build_id=build_id, step=StepId.PLAN)]
    )
    await journal.record(completed(build_id, artifact=ARTIFACT), close=True)
    assert await row(db, build_id) == fold(await events.read(build_id))


async def test_a_crash_behind_any_append_is_mended_by_replay(
    db: Database, events: FileEventLog, project: Project
) -> None:
    story: list[Event] = [
        BuildQueued(build_id="x"),
        BuildStarted(build_id="x", worker="w", fence=1, executor="fake"),
        StepStarted(build_id="x", step=StepId.SOURCE),
        decision("x"),
        CancelRequested(build_id="x", by="test"),
        completed("x", result_key=DIGEST, artifact=ARTIFACT),
    ]
    for crash in range(len(story)):
        build_id = new_id("build")
        told = [event.model_copy(update={"build_id": build_id}) for event in story]
        journal = Journal(db, events)
        await journal.record_all([BuildCreated(build_id=build_id, project_id=project.id), *told[:crash]])
        await events.append(build_id, told[crash : crash + 1])  # and here the process died
        successor = Journal(db, events)
        assert await successor.replay(build_id) == fold(await events.read(build_id))
        if told[crash + 1 :]:
            await successor.record_all(told[crash + 1 :])
        assert await row(db, build_id) == fold(await events.read(build_id))
        async with db.read() as c:
            assert [made.key for made in await decisions.of_build(c, build_id)] == [KEY]
            found = await results.get(c, DIGEST, project_id=project.id)
            assert found is not None
            assert (found.build_id, found.artifact, found.seconds, found.key) == (build_id, ARTIFACT, 2.5, KEY)


async def test_lines_of_commands_bring_a_row_up_without_being_read(
    journal: Journal, db: Database, events: FileEventLog, build_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [Log(build_id=build_id, step=StepId.BUILD, stream="stdout", line=str(number)) for number in range(2500)]
    await events.append(build_id, [BuildQueued(build_id=build_id), *lines])
    read: list[str] = []
    original = events.read

    async def noted(log: str, **options: Any) -> Sequence[Event]:
        found = await original(log, **options)
        read.extend(event.type for event in found)
        return found

    monkeypatch.setattr(events, "read", noted)
    await journal.replay(build_id)
    assert (await row(db, build_id)).seen == await events.last(build_id) == 2502
    assert read == ["build.queued"]


async def test_a_claim_that_the_database_forgot_is_not_given_again(
    journal: Journal, db: Database, events: FileEventLog, build_id: str
) -> None:
    told = [BuildStarted(build_id=build_id, worker="w", fence=fence, executor="fake") for fence in (1, 2)]
    await events.append(build_id, told)
    await journal.replay(build_id)
    assert (await lease_of(db, build_id)).fence == 3


async def test_a_build_whose_row_was_never_written_appears_by_replay(
    journal: Journal, db: Database, events: FileEventLog, project: Project
) -> None:
    build_id = new_id("build")
    await events.append(build_id, [BuildCreated(build_id=build_id, project_id=project.id)])
    await journal.replay(build_id)
    assert (await row(db, build_id)).project_id == project.id


async def test_replaying_an_unknown_log_makes_nothing(journal: Journal) -> None:
    assert await journal.replay(new_id("build")) is None


class DiesAfterAppend(FileEventLog):
    """The write went through, and its caller never heard of it."""

    broken = False

    async def append(self, log: str, events: Sequence[Fact], *, close: bool = False) -> Sequence[Fact]:
        stored = await super().append(log, events, close=close)
        if self.broken:
            raise OSError("the answer was lost")
        return stored


async def test_an_append_that_broke_is_caught_up_with_the_next_fact(
    db: Database, tmp_path: Path, project: Project
) -> None:
    events = DiesAfterAppend(tmp_path / "logs")
    journal = Journal(db, events)
    build_id = (await journal.record(BuildCreated(build_id=new_id("build"), project_id=project.id))).build_id
    events.broken = True
    with pytest.raises(OSError, match="lost"):
        await journal.record(StepStarted(build_id=build_id, step=StepId.SOURCE))
    events.broken = False
    await journal.record(BuildQueued(build_id=build_id))
    assert [step.id for step in (await row(db, build_id)).steps] == [StepId.SOURCE]
    assert await row(db, build_id) == fold(await events.read(build_id))


async def test_a_worker_that_lost_its_lease_writes_nothing(
    journal: Journal, db: Database, events: FileEventLog, build_id: str
) -> None:
    old = await lease_of(db, build_id, "w1", seconds=0)
    await asyncio.sleep(0.01)
    new = await lease_of(db, build_id, "w2")
    with pytest.raises(LeaseLost):
        await journal.record(BuildQueued(build_id=build_id), lease=old)
    assert await events.last(build_id) == 1
    assert (await journal.record(BuildQueued(build_id=build_id), lease=new)).seq == 2


async def test_a_lease_is_good_for_its_own_build_only(
    journal: Journal, db: Database, build_id: str, project: Project
) -> None:
    other = await journal.record(BuildCreated(build_id=new_id("build"), project_id=project.id))
    lease = await lease_of(db, build_id)
    with pytest.raises(LeaseLost):
        await journal.record(BuildQueued(build_id=other.build_id), lease=lease)


async def test_a_closed_log_takes_no_more_and_the_row_stays(journal: Journal, db: Database, build_id: str) -> None:
    await journal.record(completed(build_id), close=True)
    with pytest.raises(Conflict):
        await journal.record(BuildQueued(build_id=build_id))
    assert (await row(db, build_id)).status is BuildStatus.SUCCEEDED


async def test_of_many_endings_at_once_one_counts(
    journal: Journal, db: Database, events: FileEventLog, build_id: str
) -> None:
    endings = [completed(build_id, status=status) for status in ("succeeded", "cancelled", "failed") for _ in range(5)]
    outcomes = await asyncio.gather(*(journal.record(end, close=True) for end in endings), return_exceptions=True)
    won = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert len(won) == 1
    assert all(isinstance(outcome, Conflict) for outcome in outcomes if outcome not in won)
    assert (await row(db, build_id)).status == won[0].status  # type: ignore[union-attr]
    assert await events.last(build_id) == 2


async def test_facts_of_many_tasks_get_dense_numbers_and_one_row(
    journal: Journal, db: Database, events: FileEventLog, build_id: str
) -> None:
    warning = BuildWarning(build_id=build_id, code="x", message="x")
    stored = await asyncio.gather(*(journal.record(warning) for _ in range(20)))
    assert sorted(event.seq for event in stored) == list(range(2, 22))
    assert (await row(db, build_id)).seen == await events.last(build_id)


async def test_an_unknown_build_is_not_found(journal: Journal) -> None:
    with pytest.raises(NotFound):
        await journal.record(BuildQueued(build_id=new_id("build")))


async def test_a_wish_to_cancel_sets_the_flag(journal: Journal, db: Database, build_id: str) -> None:
    await journal.record(CancelRequested(build_id=build_id, by="test"))
    async with db.read() as c:
        assert await builds.cancel_requested(c, [build_id]) == {build_id}


async def test_a_build_that_fails_after_somebody_wanted_its_end_is_cancelled(
    journal: Journal, db: Database, build_id: str
) -> None:
    await journal.record(CancelRequested(build_id=build_id, by="test"))
    failure = Failure(step=StepId.BUILD, reason=FailureReason.COMMAND_FAILED, message="exit status 1")
    ended = await journal.record(completed(build_id, status="failed", failure=failure), close=True)
    assert (ended.status, ended.failure) == ("cancelled", None)  # type: ignore[union-attr]
    assert (await row(db, build_id)).status is BuildStatus.CANCELLED


async def test_nothing_is_recorded_that_its_own_decision_is_against(
    journal: Journal, events: FileEventLog, build_id: str
) -> None:
    seen = list[int]()

    async def no(_: Transaction, build: Build) -> bool:
        seen.append(build.seen)
        return False

    assert await journal.record_all([CancelRequested(build_id=build_id, by="test")], decides=no) == ()
    assert seen == [await events.last(build_id)] == [1]


@pytest.mark.parametrize(("artifact", "ends"), [(None, "cancelled"), (ARTIFACT, "succeeded")])
async def test_a_build_without_a_result_ends_as_who_cancelled_it_was_told(
    journal: Journal, db: Database, build_id: str, artifact: Digest | None, ends: str
) -> None:
    await journal.record(CancelRequested(build_id=build_id, by="test"))
    stored = await journal.record(completed(build_id, artifact=artifact), close=True)
    assert isinstance(stored, BuildCompleted)
    assert (stored.status, (await row(db, build_id)).status) == (ends, ends)


async def test_a_result_from_the_cache_does_not_replace_the_one_it_came_from(
    journal: Journal, db: Database, build_id: str, project: Project
) -> None:
    await journal.record(decision(build_id))
    await journal.record(completed(build_id, result_key=DIGEST, artifact=ARTIFACT), close=True)
    again = new_id("build")
    await journal.record(BuildCreated(build_id=again, project_id=project.id))
    await journal.record(decision(again, hit=True))
    await journal.record(completed(again, result_key=DIGEST, artifact=ARTIFACT, seconds=0.1, cached=True), close=True)
    async with db.read() as c:
        found = await results.get(c, DIGEST, project_id=project.id)
    assert found is not None
    assert (found.build_id, found.seconds) == (build_id, 2.5)


async def test_listeners_hear_what_is_stored_and_cannot_undo_it(journal: Journal, build_id: str) -> None:
    heard: list[int] = []

    def fails(event: Event) -> None:
        raise ValueError(event.type)

    journal.listen(fails)
    journal.listen(lambda event: heard.append(event.seq))
    await journal.record(BuildQueued(build_id=build_id))
    assert heard == [2]
