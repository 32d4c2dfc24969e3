"""Previews: how they stand, waking them, putting them to sleep, what happens in them, and links to them."""

import time
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Query, Request
from starlette.responses import Response

from headrace.api.answers import answer
from headrace.api.body import json_body, json_request
from headrace.api.context import Place, PlaceHeader, Previewing, Streaming, Wired, find_project
from headrace.api.openapi import PREVIEW_STREAM_CONTENT
from headrace.api.requests import NewLink
from headrace.api.router import router_of
from headrace.errors import Conflict
from headrace.model.preview import PreviewState
from headrace.model.value import Value
from headrace.preview.links import sign, view_grant, visit_grant

router = router_of("previews")


class PreviewList(Value):
    items: tuple[PreviewState, ...]


class Link(Value):
    #: Opens the preview itself, whatever its protection.
    url: str
    #: Opens the page that shows the preview with its status, console and errors.
    view_url: str
    expires_at: str


@router.get("/previews", response_model=PreviewList)
async def list_previews(previews: Previewing) -> Response:
    """Previews that were used since the server began, the last used first."""
    return answer(PreviewList(items=tuple(await previews.all())))


@router.get("/projects/{project_id}/preview", response_model=PreviewState)
async def get_preview(services: Wired, previews: Previewing, project_id: str) -> Response:
    """How the project's preview stands."""
    return answer(await previews.state(await find_project(services, project_id)))


@router.post("/projects/{project_id}/preview/wake", response_model=PreviewState)
async def wake_preview(services: Wired, previews: Previewing, project_id: str) -> Response:
    """Start what shows the project's newest version. Nothing happens when it runs."""
    return answer(await previews.wake(await find_project(services, project_id)))


@router.post("/projects/{project_id}/preview/stop", response_model=PreviewState)
async def stop_preview(services: Wired, previews: Previewing, project_id: str) -> Response:
    """Put the preview to sleep. The next visit or change wakes it."""
    return answer(await previews.stop(await find_project(services, project_id)))


@router.post(
    "/projects/{project_id}/preview/links",
    status_code=201,
    response_model=Link,
    openapi_extra=json_request(NewLink),
)
async def make_link(
    request: Request,
    services: Wired,
    previews: Previewing,
    project_id: str,
    body: Annotated[NewLink, Depends(json_body(NewLink))],
) -> Response:
    """A signed link that lets whoever has it see the preview until it expires."""
    project = await find_project(services, project_id)
    site = services.public.site(f"{project.slug}.preview")
    if site is None:
        raise Conflict("this server serves no previews", hint="start it with `headrace serve`")
    expires = int(time.time()) + body.seconds
    token = sign(previews.secret, visit_grant(project.id), expires)
    mark = "&" if "?" in body.path else "?"
    path, _, fragment = body.path.partition("#")
    view = sign(previews.secret, view_grant(project.id), expires)
    link = Link(
        url=f"{site.rstrip('/')}{quote(path, safe='/?&=%:@!$,;~+*().-_')}{mark}headrace={token}"
        + (f"#{quote(fragment)}" if fragment else ""),
        view_url=f"{str(request.base_url).rstrip('/')}/view/{project.id}?access={view}",
        expires_at=datetime.fromtimestamp(expires, UTC).isoformat().replace("+00:00", "Z"),
    )
    return answer(link, status=201)


@router.get(
    "/projects/{project_id}/preview/events",
    response_class=Response,
    responses={200: {"description": "Events; with `follow` without end.", "content": PREVIEW_STREAM_CONTENT}},
)
async def preview_events(
    request: Request,
    services: Wired,
    streams: Streaming,
    previews: Previewing,
    project_id: str,
    follow: Annotated[bool, Query(description="Go on as events come.")] = False,
    after: Place = None,  # noqa: ARG001 - read by the stream
    last_event_id: Place = None,  # noqa: ARG001
    last_event_id_header: PlaceHeader = None,  # noqa: ARG001
) -> Response:
    """What happens in the preview, as NDJSON, or as server-sent events when `Accept` says `text/event-stream`."""
    project = await find_project(services, project_id)
    return await streams.respond(request, previews.log(project.id), follow=follow)
