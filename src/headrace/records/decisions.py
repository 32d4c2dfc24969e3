"""What the caches answered to a build."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

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
