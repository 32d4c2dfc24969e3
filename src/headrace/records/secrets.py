"""Secrets of projects. Values are sealed before they come here; nothing here can read one."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from headrace.model.digest import Digest
from headrace.model.secret import Secret
from headrace.records.rows import upsert
from headrace.records.tables import secrets


async def put(c: AsyncConnection, project_id: str, secret: Secret, sealed: bytes, fingerprint: Digest) -> None:
    """Set it, or set it anew."""
    row = {**secret.model_dump(), "project_id": project_id, "sealed": sealed, "fingerprint": fingerprint}
    await upsert(c, secrets, row)


async def named(c: AsyncConnection, project_id: str) -> Sequence[Secret]:
    """All of a project, by name."""
    query = select(secrets).where(secrets.c.project_id == project_id).order_by(secrets.c.name)
    return [
        Secret(name=row["name"], set_at=row["set_at"], masked=row["masked"])
        for row in (await c.execute(query)).mappings()
    ]


async def count(c: AsyncConnection, project_id: str) -> int:
    query = select(func.count()).select_from(secrets).where(secrets.c.project_id == project_id)
    return int((await c.execute(query)).scalar_one())


async def sealed(c: AsyncConnection, project_id: str, names: Collection[str]) -> dict[str, bytes]:
    """Those of `names` that are set."""
    query = select(secrets.c.name, secrets.c.sealed).where(
        secrets.c.project_id == project_id, secrets.c.name.in_(names)
    )
    return {row.name: bytes(row.sealed) for row in await c.execute(query)}


async def fingerprints(c: AsyncConnection, project_id: str, names: Collection[str]) -> dict[str, Digest]:
    """What tells whether values of `names` changed; only of those that are set."""
    query = select(secrets.c.name, secrets.c.fingerprint).where(
        secrets.c.project_id == project_id, secrets.c.name.in_(names)
    )
    return {row.name: row.fingerprint for row in await c.execute(query)}


async def delete(c: AsyncConnection, project_id: str, name: str) -> bool:
    """False when it was not set."""
    done = await c.execute(sql_delete(secrets).where(secrets.c.project_id == project_id, secrets.c.name == name))
    return bool(done.rowcount)
