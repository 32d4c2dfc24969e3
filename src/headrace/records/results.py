"""Results by the inputs that made them, and the inputs that a project had last: what a miss is explained with."""

from collections.abc import Collection

from sqlalchemy import RowMapping, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from headrace.model.digest import Digest
from headrace.model.plan import CacheKey
from headrace.model.value import Value
from headrace.records.rows import upsert
from headrace.records.tables import last_inputs as inputs_table
from headrace.records.tables import results


class Result(Value):
    """A build's artifact, under the key of its inputs. Results never cross from one project to another."""

    key: CacheKey
    project_id: str
    build_id: str
    artifact: Digest
    #: What making it took, and finding it saves.
    seconds: float


async def save(
    c: AsyncConnection, key: CacheKey, *, build_id: str, artifact: Digest, seconds: float, project_id: str
) -> None:
    row = {"project_id": project_id, "digest": key.digest, "build_id": build_id, "artifact": artifact}
    await upsert(c, results, row | {"seconds": seconds, "inputs": _inputs(key)})


async def get(c: AsyncConnection, digest: Digest, *, project_id: str) -> Result | None:
    found = select(results).where(results.c.project_id == project_id, results.c.digest == digest)
    row = (await c.execute(found)).mappings().first()
    return _result(row) if row else None


async def forget(c: AsyncConnection, build_ids: Collection[str]) -> list[Result]:
    """Remove the results that these builds made: nobody is given one any more. Those that were removed."""
    rows = (await c.execute(select(results).where(results.c.build_id.in_(build_ids)))).mappings().all()
    await c.execute(delete(results).where(results.c.build_id.in_(build_ids)))
    return [_result(row) for row in rows]


async def save_inputs(c: AsyncConnection, project_id: str, cache: str, key: CacheKey) -> None:
    row = {"project_id": project_id, "cache": cache, "digest": key.digest, "inputs": _inputs(key)}
    await upsert(c, inputs_table, row)


async def last_inputs(c: AsyncConnection, project_id: str, cache: str) -> CacheKey | None:
    """The key that the project's last build had for this cache."""
    found = select(inputs_table).where(inputs_table.c.project_id == project_id, inputs_table.c.cache == cache)
    row = (await c.execute(found)).mappings().first()
    return CacheKey.model_validate({"digest": row["digest"], "inputs": row["inputs"]}) if row else None


def _inputs(key: CacheKey) -> list[dict[str, object]]:
    return [part.model_dump() for part in key.inputs]


def _result(row: RowMapping) -> Result:
    key = {"digest": row["digest"], "inputs": row["inputs"]}
    plain = {name: row[name] for name in ("project_id", "build_id", "artifact", "seconds")}
    return Result.model_validate({"key": key, **plain})
