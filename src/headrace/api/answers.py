"""JSON answers with validators: strong ETags from the bytes themselves, 304 for what the client has, 412 for what it missed."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol, TypeVar
from urllib.parse import urlencode

import orjson
from fastapi import Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from headrace.errors import PreconditionFailed
from headrace.model.ids import ID_PATTERN


class Listed(Protocol):
    """What a page can hold."""

    @property
    def id(self) -> str: ...

    def model_dump(self, *, mode: str) -> dict[str, Any]: ...


V = TypeVar("V", bound=Listed)


class PageQuery(BaseModel):
    limit: int = Field(default=50, ge=1, le=200, description="Most items of the answer.")
    cursor: str | None = Field(default=None, pattern=ID_PATTERN, description="`next_cursor` of the page before.")


Paging = Annotated[PageQuery, Query()]


def json_bytes(value: BaseModel | Mapping[str, Any]) -> bytes:
    return orjson.dumps(value.model_dump(mode="json") if isinstance(value, BaseModel) else value)


def etag_of(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def answer(value: BaseModel | Mapping[str, Any], *, status: int = 200, location: str | None = None) -> Response:
    body = json_bytes(value)
    headers = {"ETag": etag_of(body), "Cache-Control": "private, no-cache"}
    if location is not None:
        headers["Location"] = location
    return Response(body, status, headers, "application/json")


def resource(request: Request, value: BaseModel | Mapping[str, Any]) -> Response:
    """The answer to a GET: 304 when the client has these bytes."""
    full = answer(value)
    if _matches(request.headers.get("if-none-match"), full.headers["etag"], weak=True):
        kept = {name: full.headers[name] for name in ("etag", "cache-control")}
        return Response(status_code=304, headers=kept)
    return full


def unchanged(request: Request, etag: str) -> Response | None:
    """304 when the client has the state with this validator, which is known without making the answer."""
    if _matches(request.headers.get("if-none-match"), etag, weak=True):
        return Response(status_code=304, headers={"etag": etag, "cache-control": "private, no-cache"})
    return None


def refuse_changed(request: Request, now: BaseModel) -> None:
    """Raise when `If-Match` names another state than `now`. Call it in the transaction that changes the thing."""
    wanted = request.headers.get("if-match")
    if wanted is not None and not _matches(wanted, etag_of(json_bytes(now)), weak=False):
        raise PreconditionFailed("it changed since you read it", hint="read it again and repeat the change")


def page(request: Request, items: Sequence[V], query: PageQuery) -> Response:
    """`items` is one longer than the limit when there are more."""
    shown = items[: query.limit]
    after = shown[-1].id if len(items) > query.limit else None
    full = resource(request, {"items": [item.model_dump(mode="json") for item in shown], "next_cursor": after})
    if after is not None:
        kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        full.headers["Link"] = f'<{request.url.path}?{urlencode([*kept, ("cursor", after)])}>; rel="next"'
    return full


def _matches(header: str | None, etag: str, *, weak: bool) -> bool:
    if header is None:
        return False
    given = [part.strip() for part in header.split(",")]
    return "*" in given or etag in given or (weak and f"W/{etag}" in given)


def stored(response: Response) -> Mapping[str, Any]:
    """What of an answer is kept for a repeated request."""
    kept = {name: value for name, value in response.headers.items() if name in ("location", "etag")}
    body = bytes(response.body)
    return {"status": response.status_code, "headers": kept, "body": orjson.loads(body) if body else None}
