"""`Idempotency-Key`: a request that is sent again, because nobody knows whether it arrived, is done once."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated

import orjson
from fastapi import Header, Request
from starlette.responses import Response

from headrace.api.answers import stored
from headrace.model.digest import Digest, digest_of
from headrace.pipeline.services import Services
from headrace.records import idempotency
from headrace.records.idempotency import StillRunning, StoredResponse

#: How long a second request waits for the first one's answer.
WAIT_SECONDS = 30.0

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$",
        description="A request with the key of an earlier one is answered like it, and does nothing. Kept for 24 hours.",
    ),
]


async def once(
    services: Services, request: Request, key: str | None, body: bytes | Digest, act: Callable[[], Awaitable[Response]]
) -> Response:
    """
    `act`, or what it answered when this key came first. Of many at once, one acts and the others wait for its answer.

    Raises Conflict when the key was used for another request. An `act` that raises may be tried again.
    """
    if key is None:
        return await act()
    row = hashlib.sha256(key.encode()).hexdigest()
    if (earlier := await _begin(services, row, _digest_of(request, body))) is not None:
        return _again(earlier)
    try:
        response = await act()
        kept = StoredResponse.model_validate(stored(response))
    except BaseException:
        await asyncio.shield(_forget(services, row))
        raise
    async with services.db.write(durable=False) as c:
        await idempotency.finish(c, row, kept)
    return response


async def _begin(services: Services, row: str, digest: Digest) -> StoredResponse | None:
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    while True:
        try:
            async with services.db.write(durable=False) as c:
                return await idempotency.begin(c, row, digest)
        except StillRunning:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(0.05)


async def _forget(services: Services, row: str) -> None:
    async with services.db.write() as c:
        await idempotency.forget(c, row)


def _digest_of(request: Request, body: bytes | Digest) -> Digest:
    part = body if isinstance(body, bytes) else body.encode()
    address = f"{request.method} {request.url.path}?{request.url.query}\n"
    return digest_of(address.encode() + part)


def _again(earlier: StoredResponse) -> Response:
    body = b"" if earlier.body is None else orjson.dumps(earlier.body)
    headers = {**earlier.headers, "Idempotent-Replayed": "true"}
    return Response(body, earlier.status, headers, "application/json" if body else None)
