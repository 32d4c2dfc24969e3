"""What the caches answered to a build."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from headrace.model.digest import Digest
from headrace.model.event import CacheDecision
from headrace.records.rows import upsert
from headrace.records.tables import cache_decisions


async def save(c: AsyncConnection, decision: CacheDecision) -> None:
    event = decision.model_dump(mode="json", exclude_none=True)
    await upsert(c, cache_decisions, {"build_id": decision.build_id, "seq": decision.seq, "event": event})


async def of_build(c: AsyncConnection, build_id: str) -> list[CacheDecision]:
    """In the order of the log."""
    query = select(cache_decisions.c.event).where(cache_decisions.c.build_id == build_id)
    rows = (await c.execute(query.order_by(cache_decisions.c.seq))).scalars()
    return [CacheDecision.model_validate(event) for event in rows]


async def made_keys(c: AsyncConnection, makers: Collection[str]) -> set[Digest]:
    """Keys of the dependency layers that these builds did not find, and so made."""
    query = _of_layers().where(cache_decisions.c.build_id.in_(makers))
    made = [CacheDecision.model_validate(event) for event in (await c.execute(query)).scalars()]
    return {decision.key.digest for decision in made if not decision.hit}


async def begun_with(c: AsyncConnection, keys: Collection[Digest]) -> set[str]:
    """Builds that began an install with one of these layers."""
    query = _of_layers().where(cache_decisions.c.event["begun_with"].as_string().in_(keys))
    return {CacheDecision.model_validate(event).build_id for event in (await c.execute(query)).scalars()}


async def given(c: AsyncConnection, makers: Collection[str]) -> set[str]:
    """Builds that were given a dependency layer that one of these made."""
    query = _of_layers().where(cache_decisions.c.event["made_by"].as_string().in_(makers))
    return {CacheDecision.model_validate(event).build_id for event in (await c.execute(query)).scalars()}


def _of_layers() -> Select[tuple[Any]]:
    return select(cache_decisions.c.event).where(cache_decisions.c.event["cache"].as_string() == "dependencies")
