"""Artifacts: digests of manifests, with their size."""

from sqlalchemy import delete as sql_delete
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from headrace.model.artifact import Artifact
from headrace.model.digest import Digest
from headrace.records.rows import upsert
from headrace.records.tables import artifacts


async def insert(c: AsyncConnection, artifact: Artifact) -> None:
    """Nothing happens when it is already there: equal digests are equal artifacts."""
    await upsert(c, artifacts, artifact.model_dump())


async def get(c: AsyncConnection, digest: Digest) -> Artifact | None:
    row = (await c.execute(select(artifacts).where(artifacts.c.digest == digest))).mappings().first()
    return Artifact.model_validate(dict(row)) if row else None


async def all_digests(c: AsyncConnection) -> set[Digest]:
    return set((await c.execute(select(artifacts.c.digest))).scalars())


async def delete(c: AsyncConnection, digest: Digest) -> None:
    await c.execute(sql_delete(artifacts).where(artifacts.c.digest == digest))
