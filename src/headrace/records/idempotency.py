"""
Requests that carry an `Idempotency-Key`, and what they were answered: done once, whoever asks how often.

Rows are kept for a day. One without a response belongs to a request that is being worked on, or whose process died.
"""

from typing import Any

from pydantic import Field
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headrace.errors import Conflict
from headrace.model.digest import Digest
from headrace.model.value import Value
from headrace.records.rows import seconds_now
from headrace.records.tables import idempotency

KEPT_SECONDS = 24 * 3600.0
#: A request without an answer for so long has died, and its key may be used again.
ABANDONED_SECONDS = 120.0


class StoredResponse(Value):
    status: int
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None


class StillRunning(Conflict):
    """The first request with this key has no answer yet."""

    code = "idempotency.running"


async def begin(c: AsyncConnection, key: str, body_digest: Digest) -> StoredResponse | None:
    """
    None: this request is the first, and must `finish` or `forget`. Otherwise what the first one was answered.
    Raises Conflict when the first one had another body, StillRunning when it is being worked on.
    """
    age = seconds_now() - idempotency.c.begun_at
    await c.execute(delete(idempotency).where(age > KEPT_SECONDS))
    await c.execute(delete(idempotency).where(age > ABANDONED_SECONDS, idempotency.c.response.is_(None)))
    row = (await c.execute(select(idempotency).where(idempotency.c.key == key))).mappings().first()
    if row is None:
        await c.execute(insert(idempotency).values(key=key, body_digest=body_digest, begun_at=seconds_now()))
        return None
    if row["body_digest"] != body_digest:
        raise Conflict(
            "this Idempotency-Key was used with another request",
            code="idempotency.conflict",
            hint="use a new key for a new request",
        )
    if row["response"] is None:
        raise StillRunning("the first request with this Idempotency-Key is still being worked on")
    return StoredResponse.model_validate(row["response"])


async def finish(c: AsyncConnection, key: str, response: StoredResponse) -> None:
    done = update(idempotency).where(idempotency.c.key == key)
    await c.execute(done.values(response=response.model_dump(mode="json")))


async def forget(c: AsyncConnection, key: str) -> None:
    """The request failed before it changed anything: it may be tried again with the same key."""
    await c.execute(delete(idempotency).where(idempotency.c.key == key))
