"""Versions of projects."""

from sqlalchemy import bindparam, func, select
from sqlalchemy import insert as sql_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from headrace.model.digest import Digest
from headrace.model.trust import Trust
from headrace.model.version import Version
from headrace.records.rows import from_row, to_row
from headrace.records.tables import projects, versions


async def insert(c: AsyncConnection, version: Version) -> None:
    await c.execute(sql_insert(versions).values(to_row(versions, version)))


#: Made once: to build and compile it takes longer than to run it.
_INSERT_NEXT = sql_insert(versions).from_select(
    versions.c.keys(),
    select(*(bindparam(f"new_{column.name}", type_=column.type) for column in versions.c)).where(
        select(func.max(versions.c.id))
        .where(versions.c.project_id == bindparam("project"), versions.c.trust == Trust.TRUSTED)
        .scalar_subquery()
        .is_not_distinct_from(bindparam("parent", type_=versions.c.id.type)),
        select(projects.c.id).where(projects.c.id == bindparam("project")).exists(),
    ),
)


async def insert_next(c: AsyncConnection, version: Version) -> bool:
    """
    Insert a trusted version whose parent is the project's newest one. False, and nothing, when that has changed, or the project
    is gone.
    """
    row = {f"new_{name}": value for name, value in to_row(versions, version).items()}
    values = {**row, "project": version.project_id, "parent": version.parent}
    return (await c.execute(_INSERT_NEXT, values)).rowcount == 1


async def get(c: AsyncConnection, version_id: str, *, workspace: str | None = None) -> Version | None:
    query = select(versions).where(versions.c.id == version_id)
    if workspace is not None:
        query = query.join(projects).where(projects.c.workspace == workspace)
    row = (await c.execute(query)).mappings().first()
    return from_row(Version, row) if row else None


async def page(
    c: AsyncConnection, project_id: str, *, trust: Trust | None = None, after: str | None = None, limit: int = 50
) -> list[Version]:
    """Newest first, those of one trust or all. `after` is the last id of the page before."""
    query = select(versions).where(versions.c.project_id == project_id)
    if trust is not None:
        query = query.where(versions.c.trust == trust)
    if after is not None:
        query = query.where(versions.c.id < after)
    rows = (await c.execute(query.order_by(versions.c.id.desc()).limit(limit))).mappings()
    return [from_row(Version, row) for row in rows]


async def newest(c: AsyncConnection, project_id: str, trust: Trust = Trust.TRUSTED) -> Version | None:
    """
    The project's newest version: what a build that names none takes, previews show and syncs change. What strangers proposed
    since is none; the newest of that is found with `trust`.
    """
    return next(iter(await page(c, project_id, trust=trust, limit=1)), None)


async def all_trees(c: AsyncConnection) -> set[Digest]:
    """Trees of all versions: garbage collection keeps them and their files."""
    return set((await c.execute(select(versions.c.tree).distinct())).scalars())
