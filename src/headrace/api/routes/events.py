"""What happens in a build: its events as a stream, its log as pages, text or bytes."""

from typing import Annotated, Literal

from fastapi import Query, Request
from starlette.responses import Response, StreamingResponse

from headrace.api.answers import answer
from headrace.api.context import Place, PlaceHeader, Streaming, Wired, find_build
from headrace.api.log_pages import LogsPage, log_bytes, log_text, logs_page
from headrace.api.openapi import STREAM_CONTENT
from headrace.api.router import router_of

router = router_of("events")


@router.get(
    "/builds/{build_id}/events",
    response_class=Response,
    responses={200: {"description": "Events; with `follow` until the build's end.", "content": STREAM_CONTENT}},
)
async def build_events(
    request: Request,
    services: Wired,
    streams: Streaming,
    build_id: str,
    follow: Annotated[bool, Query(description="Go on until the build has ended.")] = False,
    after: Place = None,  # noqa: ARG001 - read by the stream
    last_event_id: Place = None,  # noqa: ARG001
    last_event_id_header: PlaceHeader = None,  # noqa: ARG001
) -> Response:
    """The build's events as NDJSON, or as server-sent events when `Accept` says `text/event-stream`."""
    build = await find_build(services, build_id)
    return await streams.respond(request, build.id, follow=follow)


@router.get(
    "/builds/{build_id}/logs",
    response_model=LogsPage,
    responses={
        200: {
            "description": "Lines as JSON; with `format=text` what people read, with `format=raw` the bytes as printed.",
            "content": {"text/plain": {"schema": {"type": "string"}}, "application/octet-stream": {}},
        }
    },
)
async def build_logs(
    services: Wired,
    build_id: str,
    after_id: Annotated[int, Query(ge=0, le=10**15, description="`next_after_id` of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Most lines of a page. Only for JSON.")] = 1000,
    format: Annotated[Literal["json", "text", "raw"], Query(description="How to show the log.")] = "json",  # noqa: A002
) -> Response:
    """What the build's commands printed."""
    build = await find_build(services, build_id)
    if format == "raw":
        # Never shown by a browser as a page: tenants decide what it holds.
        headers = {"Content-Disposition": f'attachment; filename="{build.id}.log"', "Cache-Control": "no-store"}
        return StreamingResponse(log_bytes(services.events, build.id), 200, headers, "application/octet-stream")
    if format == "text":
        text = log_text(services.events, build.id, after=after_id)
        return StreamingResponse(text, 200, {"Cache-Control": "no-store"}, "text/plain; charset=utf-8")
    return answer(await logs_page(services.events, build.id, after_id, limit))
