"""Deployments, and the aliases that point at them. Moving an alias is the switch."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy import insert as sql_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from headrace.errors import NotFound
from headrace.model.deployment import Alias, Deployment
from headrace.records.rows import from_row, to_row, upsert
from headrace.records.tables import aliases, builds, deployments, projects


async def insert(c: AsyncConnection, deployment: Deployment) -> None:
    await c.execute(sql_insert(deployments).values(to_row(deployments, deployment)))


async def get(c: AsyncConnection, deployment_id: str) -> Deployment | None:
    return await _one(c, deployments.c.id == deployment_id)


async def of_build(c: AsyncConnection, build_id: str) -> Deployment | None:
    return await _one(c, deployments.c.build_id == build_id)


async def by_label(c: AsyncConnection, label: str) -> Deployment | None:
    """What a host label shows. A deployment's own label wins, so that no alias can ever take its address."""
    if own := await _one(c, deployments.c.label == label):
        return own
    target = select(aliases.c.deployment_id).where(aliases.c.label == label).scalar_subquery()
    return await _one(c, deployments.c.id == target)


async def active(c: AsyncConnection, project_id: str) -> Deployment | None:
    """What the project's own address shows."""
    slug = select(projects.c.slug).where(projects.c.id == project_id).scalar_subquery()
    target = select(aliases.c.deployment_id).where(aliases.c.label == slug).scalar_subquery()
    return await _one(c, deployments.c.id == target)


async def activate(c: AsyncConnection, deployment: Deployment, *, unless_newer: bool = False) -> bool:
    """
    Point the project's address at the deployment and mark its build as the active one.

    With `unless_newer` nothing changes, and the answer is False, while a newer build is live: of two builds that end in
    the wrong order the newer one stays.
    """
    slug = (await c.execute(select(projects.c.slug).where(projects.c.id == deployment.project_id))).scalar()
    if slug is None:
        raise NotFound(f"no project {deployment.project_id}")
    live = await active(c, deployment.project_id)
    if unless_newer and live is not None and live.build_id > deployment.build_id:
        return False
    alias = Alias(label=slug, project_id=deployment.project_id, deployment_id=deployment.id)
    await upsert(c, aliases, alias.model_dump())
    was_active = (builds.c.project_id == deployment.project_id) & builds.c.active
    await c.execute(update(builds).where(was_active, builds.c.id != deployment.build_id).values(active=False))
    await c.execute(update(builds).where(builds.c.id == deployment.build_id).values(active=True))
    return True


async def deactivate(c: AsyncConnection, project_id: str) -> None:
    """Take the project off its address. Addresses of its deployments stay."""
    await c.execute(delete(aliases).where(aliases.c.project_id == project_id))
    await c.execute(update(builds).where(builds.c.project_id == project_id, builds.c.active).values(active=False))


async def live_artifacts(c: AsyncConnection) -> set[str]:
    """Digests of artifacts that some deployment serves: garbage collection keeps them."""
    return set((await c.execute(select(deployments.c.artifact).distinct())).scalars())


async def showing(c: AsyncConnection, artifacts: Collection[str]) -> list[Deployment]:
    """Every deployment of one of these artifacts, the oldest first."""
    query = select(deployments).where(deployments.c.artifact.in_(artifacts)).order_by(deployments.c.id)
    return [from_row(Deployment, row) for row in (await c.execute(query)).mappings()]


async def _one(c: AsyncConnection, which: ColumnElement[bool]) -> Deployment | None:
    row = (await c.execute(select(deployments).where(which).limit(1))).mappings().first()
    return from_row(Deployment, row) if row else None
