"""Projects. A slug is a host label, so it is unique over all workspaces."""

from typing import Any

import orjson
from sqlalchemy import delete as sql_delete
from sqlalchemy import insert as sql_insert
from sqlalchemy import select, text
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from headrace.errors import Conflict
from headrace.model.digest import Digest, digest_of
from headrace.model.project import Project
from headrace.model.version import Source
from headrace.records.rows import from_row, to_row
from headrace.records.tables import aliases, projects


async def insert(c: AsyncConnection, project: Project) -> None:
    """Raises Conflict when the slug is taken; the transaction is over then."""
    try:
        await c.execute(sql_insert(projects).values(_row(project)))
    except IntegrityError as exc:
        raise _taken(project) from exc


async def get(c: AsyncConnection, project_id: str, *, workspace: str | None = None) -> Project | None:
    """The project; None also when it belongs to another workspace than the given one."""
    query = select(projects).where(projects.c.id == project_id)
    if workspace is not None:
        query = query.where(projects.c.workspace == workspace)
    row = (await c.execute(query)).mappings().first()
    return from_row(Project, row) if row else None


async def by_slug(c: AsyncConnection, slug: str) -> Project | None:
    row = (await c.execute(select(projects).where(projects.c.slug == slug))).mappings().first()
    return from_row(Project, row) if row else None


async def by_source(c: AsyncConnection, workspace: str, source: Source, app: str | None = None) -> Project | None:
    """The newest project that was made for this source, or for this one of its apps."""
    query = select(projects).where(projects.c.workspace == workspace, projects.c.source_digest == _digest_of(source))
    rows = (await c.execute(query.order_by(projects.c.id.desc()))).mappings()
    made = (from_row(Project, row) for row in rows)
    return next((project for project in made if project.settings.app == app), None)


async def free_slug(c: AsyncConnection, wish: str) -> str:
    """
    `wish`, or `wish-2` and so on when it is taken. Asked for with a few looks, however many have that name; a gap among them
    may stay.
    """
    taken, free = 0, 1
    while await by_slug(c, _numbered(wish, free)):
        taken, free = free, 2 * free
    while free - taken > 1:
        between = (taken + free) // 2
        taken, free = (between, free) if await by_slug(c, _numbered(wish, between)) else (taken, between)
    return _numbered(wish, free)


def _numbered(wish: str, number: int) -> str:
    return wish if number == 1 else f"{wish}-{number}"


async def page(
    c: AsyncConnection, workspace: str, *, after: str | None = None, limit: int = 50, slug: str | None = None
) -> list[Project]:
    """Newest first. `after` is the last id of the page before."""
    query = select(projects).where(projects.c.workspace == workspace)
    if workspace != "default":
        # What the index of the others needs to hear.
        query = query.where(text("workspace <> 'default'"))
    if after is not None:
        query = query.where(projects.c.id < after)
    if slug is not None:
        query = query.where(projects.c.slug == slug)
    rows = (await c.execute(query.order_by(projects.c.id.desc()).limit(limit))).mappings()
    return [from_row(Project, row) for row in rows]


async def update(c: AsyncConnection, project: Project) -> None:
    """Replace everything but the id. The address follows a changed slug. Raises Conflict when the slug is taken."""
    old = (await c.execute(select(projects.c.slug).where(projects.c.id == project.id))).scalar()
    try:
        await c.execute(sql_update(projects).where(projects.c.id == project.id).values(_row(project)))
    except IntegrityError as exc:
        raise _taken(project) from exc
    if old != project.slug:
        await c.execute(sql_update(aliases).where(aliases.c.label == old).values(label=project.slug))


async def delete(c: AsyncConnection, project_id: str) -> bool:
    """Remove the project and all rows that belong to it. False when there was none."""
    return (await c.execute(sql_delete(projects).where(projects.c.id == project_id))).rowcount > 0


def _row(project: Project) -> dict[str, Any]:
    return to_row(projects, project) | {"source_digest": _digest_of(project.source) if project.source else None}


def _digest_of(source: Source) -> Digest:
    return digest_of(orjson.dumps(source.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS))


def _taken(project: Project) -> Conflict:
    return Conflict(f"the slug {project.slug!r} is taken", code="slug.taken", field="/slug", hint="choose another slug")
