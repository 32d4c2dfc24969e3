"""The line of waiting builds, as the rows have it, and what builds of before say about the memory that one needs."""

from collections.abc import Collection
from datetime import datetime
from statistics import median
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, func, not_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from headrace.model.build import BuildStatus
from headrace.model.ids import made_at
from headrace.model.job import Lease
from headrace.model.line import Line, RunningBuild, WaitingProject
from headrace.records.builds import UNFINISHED, UNHELD
from headrace.records.rows import seconds_now, upsert
from headrace.records.tables import builds, turns

#: So many of a project's last builds say what it needs: one of them may have found everything in caches.
_LAST = 5
#: So many of the last builds with a framework say what a first one needs.
_SAMPLE = 100
#: Turns that are older say nothing about any build that can still wait.
_KEPT_SECONDS = 86_400.0

_QUEUED = builds.c.status == BuildStatus.QUEUED.value


class Peaks(NamedTuple):
    """The most memory that commands of earlier builds used; None where none was measured."""

    #: Of the project's last builds.
    project: int | None = None
    framework: str | None = None
    #: Of projects with this framework: the median.
    of_framework: int | None = None


async def line(c: AsyncConnection, besides: Collection[str] = ()) -> Line:
    """The line, as if those `besides` were not in it."""
    grouped = (
        select(
            builds.c.workspace, builds.c.project_id, func.min(builds.c.id).label("oldest"), func.count().label("all")
        )
        .where(UNFINISHED, _QUEUED, UNHELD, builds.c.id.not_in(besides))
        .group_by(builds.c.workspace, builds.c.project_id)
    )
    waiting = [
        WaitingProject(
            workspace=row.workspace,
            project_id=row.project_id,
            build_id=row.oldest,
            came_at=datetime.fromisoformat(made_at(row.oldest)).timestamp(),
            count=row.all,
        )
        for row in await c.execute(grouped)
    ]
    held = select(builds.c.workspace, builds.c.project_id, builds.c.id, builds.c.reserved_bytes).where(
        UNFINISHED, not_(UNHELD), builds.c.reserved_bytes.is_not(None)
    )
    running = [
        RunningBuild(
            workspace=row.workspace, project_id=row.project_id, build_id=row.id, reserved_bytes=row.reserved_bytes
        )
        for row in await c.execute(held)
    ]
    freed = {row.owner: row.freed_at for row in await c.execute(select(turns))} if waiting else {}
    return Line(waiting=waiting, running=running, freed_at=freed)


async def abandoned(c: AsyncConnection, besides: Collection[str] = ()) -> str | None:
    """The oldest build that was started and that nobody works on now: its commands may run all the same."""
    query = select(builds.c.id).where(UNFINISHED, not_(_QUEUED), UNHELD, builds.c.id.not_in(besides))
    return (await c.execute(query.order_by(builds.c.id).limit(1))).scalar()


async def ranks(c: AsyncConnection, ids: Collection[str]) -> dict[str, int]:
    """Of those builds that wait: how many of the same project came before and wait too."""
    place = func.row_number().over(partition_by=builds.c.project_id, order_by=builds.c.id)
    numbered = select(builds.c.id, place.label("place")).where(UNFINISHED, _QUEUED, UNHELD).subquery()
    found = await c.execute(select(numbered).where(numbered.c.id.in_(ids)))
    return {row.id: row.place - 1 for row in found}


async def end_turn(c: AsyncConnection, lease: Lease) -> None:
    """The build has had its turn: say so of its project and its workspace, if others of theirs wait. Before its release."""
    ran = select(builds.c.project_id, builds.c.workspace).where(
        builds.c.id == lease.build_id, builds.c.fence == lease.fence, builds.c.reserved_bytes.is_not(None)
    )
    row = (await c.execute(ran)).first()
    if row is None:
        return
    now = (await c.execute(select(seconds_now()))).scalar_one()
    await c.execute(delete(turns).where(turns.c.freed_at < now - _KEPT_SECONDS))
    for owner, others in ((row.project_id, builds.c.project_id), (row.workspace, builds.c.workspace)):
        if await _any(c, UNFINISHED, _QUEUED, others == owner):
            await upsert(c, turns, {"owner": owner, "freed_at": now})
        else:
            await c.execute(delete(turns).where(turns.c.owner == owner))


async def peaks(c: AsyncConnection, build_id: str) -> Peaks:
    """What earlier builds say about this one."""
    row = (await c.execute(select(builds.c.project_id, builds.c.framework).where(builds.c.id == build_id))).first()
    if row is None:
        return Peaks()
    of_framework = await _of_framework(c, row.framework) if row.framework else None
    return Peaks(project=await _of_project(c, row.project_id), framework=row.framework, of_framework=of_framework)


async def _of_project(c: AsyncConnection, project_id: str) -> int | None:
    query = select(builds.c.peak_bytes).where(builds.c.project_id == project_id, builds.c.peak_bytes.is_not(None))
    return max((await c.execute(query.order_by(builds.c.id.desc()).limit(_LAST))).scalars(), default=None)


async def _of_framework(c: AsyncConnection, framework: str) -> int | None:
    query = select(builds.c.project_id, builds.c.peak_bytes).where(
        builds.c.framework == framework, builds.c.peak_bytes.is_not(None)
    )
    most: dict[str, int] = {}
    for row in await c.execute(query.order_by(builds.c.id.desc()).limit(_SAMPLE)):
        most[row.project_id] = max(row.peak_bytes, most.get(row.project_id, 0))
    return int(median(most.values())) if most else None


async def _any(c: AsyncConnection, *where: ColumnElement[bool]) -> bool:
    return (await c.execute(select(builds.c.id).where(*where).limit(1))).first() is not None
