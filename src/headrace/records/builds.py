"""Builds: what the fold of their events says, and who works on them."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Select, func, insert, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headrace.model.build import Build, BuildStatus
from headrace.model.digest import Digest
from headrace.model.job import Lease
from headrace.model.plan import StepId
from headrace.model.trust import Trust
from headrace.records.rows import from_row, seconds_now, to_row
from headrace.records.tables import builds, projects, results

UNFINISHED = builds.c.status.in_((BuildStatus.QUEUED.value, BuildStatus.BUILDING.value))
_SHOWN = [builds.c[name] for name in (*(n for n in Build.model_fields if n in builds.c), "rest")]
#: Never claimed, released, or the lease ran out.
UNHELD = or_(builds.c.lease_until.is_(None), builds.c.lease_until < seconds_now())
#: So many builds back is looked for one that reached something.
_COMPARED = 50


async def save(c: AsyncConnection, build: Build) -> None:
    """Insert or replace. `active`, the lease and the cancel flag of a row that exists stay as they are."""
    # What only installs says nothing about what a whole build needs.
    peak = None if build.options.dependencies_only else build.peak_memory_bytes
    row = to_row(builds, build) | {"peak_bytes": peak}
    kept = {name: value for name, value in row.items() if name not in ("id", "active")}
    done = await c.execute(update(builds).where(builds.c.id == build.id).values(kept))
    if done.rowcount == 0:
        owner = select(projects.c.workspace).where(projects.c.id == build.project_id).scalar_subquery()
        await c.execute(insert(builds).values(row | {"workspace": owner}))


async def get(c: AsyncConnection, build_id: str, *, workspace: str | None = None, lock: bool = False) -> Build | None:
    """The build; None also when it belongs to another workspace than the given one. `lock` keeps others from it."""
    query = select(*_SHOWN).where(builds.c.id == build_id)
    if workspace is not None:
        query = query.where(builds.c.workspace == workspace)
    return await _one(c, query.with_for_update() if lock else query)


async def page(
    c: AsyncConnection,
    *,
    workspace: str | None = None,
    project_id: str | None = None,
    status: BuildStatus | None = None,
    after: str | None = None,
    limit: int = 50,
) -> list[Build]:
    """Newest first. `after` is the last id of the page before."""
    query = select(*_SHOWN)
    if workspace is not None:
        query = query.where(builds.c.workspace == workspace)
    if project_id is not None:
        query = query.where(builds.c.project_id == project_id)
    if status is not None:
        query = query.where(builds.c.status == status.value)
    if after is not None:
        query = query.where(builds.c.id < after)
    return await _all(c, query.order_by(builds.c.id.desc()).limit(limit))


async def find_result(c: AsyncConnection, key: Digest, *, project_id: str | None = None) -> Build | None:
    """The newest build whose result is remembered under this key."""
    made = select(results.c.build_id).where(results.c.digest == key)
    if project_id is not None:
        made = made.where(results.c.project_id == project_id)
    return await _one(c, _newest_of(select(*_SHOWN).where(builds.c.id.in_(made)), project_id))


async def last_reached(c: AsyncConnection, build: Build, step: StepId) -> tuple[str | None, frozenset[tuple[str, int]]]:
    """
    The last build of the same project that succeeded and reached anything in this step, with the hosts and ports; nothing when
    there is none. What strangers reached makes no host known to a build that is trusted.
    """
    query = select(*_SHOWN).where(
        builds.c.project_id == build.project_id,
        builds.c.status == BuildStatus.SUCCEEDED.value,
        builds.c.id < build.id,
        # Most builds are answered by caches, and reach nothing in this step.
        builds.c.rest["network"].as_string().like(f'%"{step}"%'),
    )
    if build.options.trust is Trust.TRUSTED:
        # The default is not written down.
        query = query.where(builds.c.rest[("options", "trust")].as_string().is_(None))
    for before in await _all(c, query.order_by(builds.c.id.desc()).limit(_COMPARED)):
        reached = frozenset((use.host, use.port) for use in before.network if use.step == step and use.connections)
        if reached:
            return before.id, reached
    return None, frozenset()


async def with_key_running(c: AsyncConnection, key: Digest, *, project_id: str) -> Build | None:
    """The newest build that is queued or running with this result key."""
    return await _one(c, _newest_of(select(*_SHOWN).where(builds.c.result_key == key, UNFINISHED), project_id))


async def twin_at_work(c: AsyncConnection, key: Digest, *, project_id: str, older_than: str) -> str | None:
    """A build with this result key that was made before `older_than` and that a worker has now."""
    query = select(builds.c.id).where(
        builds.c.project_id == project_id,
        builds.c.result_key == key,
        builds.c.id < older_than,
        UNFINISHED,
        not_(UNHELD),
    )
    return (await c.execute(query.limit(1))).scalar()


async def unfinished(c: AsyncConnection, *, project_id: str | None = None) -> list[Build]:
    """Queued and running builds, the oldest first."""
    query = select(*_SHOWN).where(UNFINISHED).order_by(builds.c.id)
    return await _all(c, query if project_id is None else query.where(builds.c.project_id == project_id))


async def unheld(c: AsyncConnection, most: int | None = None) -> list[str]:
    """Ids of unfinished builds that nobody works on, the oldest first."""
    query = select(builds.c.id).where(UNFINISHED, UNHELD).order_by(builds.c.id).limit(most)
    return list((await c.execute(query)).scalars())


async def ids(c: AsyncConnection, project_id: str) -> list[str]:
    """All builds of a project."""
    return list((await c.execute(select(builds.c.id).where(builds.c.project_id == project_id))).scalars())


async def all_plans(c: AsyncConnection) -> set[Digest]:
    """Plans of all builds: garbage collection keeps them."""
    plan = builds.c.rest["plan"].as_string()
    return set((await c.execute(select(plan).where(plan.is_not(None)).distinct())).scalars())


async def counts(c: AsyncConnection) -> dict[BuildStatus, int]:
    """How many builds are queued and running. Reads only these."""
    query = select(builds.c.status, func.count()).where(UNFINISHED).group_by(builds.c.status)
    found = {row[0]: row[1] for row in await c.execute(query)}
    return {status: found.get(status.value, 0) for status in (BuildStatus.QUEUED, BuildStatus.BUILDING)}


async def claim(
    c: AsyncConnection, build_id: str, worker: str, seconds: float, *, reserved_bytes: int | None = None
) -> Lease | None:
    """
    Take this build for `seconds`, to run it with so much memory set aside, or only to end it. None when another has it or it
    has ended.

    One statement decides, and the fence rises with it: of any number of workers one gets the build.
    """
    taken = await c.execute(
        update(builds)
        .where(builds.c.id == build_id, UNFINISHED, UNHELD)
        .values(
            worker=worker,
            fence=builds.c.fence + 1,
            lease_until=seconds_now() + seconds,
            reserved_bytes=reserved_bytes,
        )
        .returning(builds.c.id, builds.c.fence)
    )
    row = taken.first()
    return Lease(build_id=row.id, worker=worker, fence=row.fence) if row else None


async def raise_fence(c: AsyncConnection, build_id: str, fence: int) -> None:
    """So that the next lease is higher than this one, which the log knows of."""
    await c.execute(update(builds).where(builds.c.id == build_id, builds.c.fence < fence).values(fence=fence))


async def renew(c: AsyncConnection, lease: Lease, seconds: float) -> bool:
    """Prolong the lease. False when another attempt at the build has begun."""
    held = await c.execute(update(builds).where(*_of(lease)).values(lease_until=seconds_now() + seconds))
    return held.rowcount > 0


async def release(c: AsyncConnection, lease: Lease) -> None:
    """Give the build back, done or not. Nothing happens when another worker has it."""
    await c.execute(update(builds).where(*_of(lease)).values(worker=None, lease_until=None, reserved_bytes=None))


async def expire(c: AsyncConnection, worker: str) -> list[str]:
    """End all leases of a worker that is known to be dead; the ids of its unfinished builds."""
    freed = await c.execute(
        update(builds)
        .where(builds.c.worker == worker, UNFINISHED)
        .values(worker=None, lease_until=None)
        .returning(builds.c.id)
    )
    return sorted(freed.scalars())


async def workers(c: AsyncConnection) -> set[str]:
    """Workers that hold an unfinished build, alive or not."""
    return set((await c.execute(select(builds.c.worker).where(builds.c.worker.is_not(None), UNFINISHED))).scalars())


async def holds(c: AsyncConnection, lease: Lease) -> bool:
    """
    No other worker took the build since, and nothing of its row changes until this transaction is over. A lease that ran out
    and that nobody took still holds.
    """
    return (await c.execute(select(builds.c.id).where(*_of(lease)).with_for_update())).first() is not None


async def request_cancel(c: AsyncConnection, build_id: str) -> bool:
    """Set the cancel flag. False when the build is unknown or already over."""
    done = await c.execute(update(builds).where(builds.c.id == build_id, UNFINISHED).values(cancel_requested=True))
    return done.rowcount > 0


async def cancel_requested(c: AsyncConnection, ids: Collection[str]) -> set[str]:
    """Those of `ids` whose cancellation was asked for."""
    query = select(builds.c.id).where(builds.c.id.in_(ids), builds.c.cancel_requested)
    return set((await c.execute(query)).scalars()) if ids else set()


def _of(lease: Lease) -> Sequence[ColumnElement[bool]]:
    return builds.c.id == lease.build_id, builds.c.worker == lease.worker, builds.c.fence == lease.fence


def _newest_of(query: Select[*tuple[object, ...]], project_id: str | None) -> Select[*tuple[object, ...]]:
    newest = query.order_by(builds.c.id.desc()).limit(1)
    return newest if project_id is None else newest.where(builds.c.project_id == project_id)


async def _one(c: AsyncConnection, query: Select[*tuple[object, ...]]) -> Build | None:
    row = (await c.execute(query)).mappings().first()
    return from_row(Build, row) if row else None


async def _all(c: AsyncConnection, query: Select[*tuple[object, ...]]) -> list[Build]:
    return [from_row(Build, row) for row in (await c.execute(query)).mappings()]
