"""Builds: asked for, watched, cancelled."""

import re
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request
from pydantic import Field
from starlette.responses import Response

from headrace.api.answers import PageQuery, answer, page, resource
from headrace.api.body import canonical, json_body, json_request
from headrace.api.context import WORKSPACE, Streaming, Waiting, Wired, Workspace, find_build, find_project
from headrace.api.endings import Endings
from headrace.api.links import OF_BUILD
from headrace.api.once import IdempotencyKey, once
from headrace.api.openapi import STREAM_RESPONSE
from headrace.api.requests import BuildRequest
from headrace.api.router import router_of
from headrace.api.views import BuildView, CacheDecisions, ManifestView, NetworkView, Page, build_view, build_views
from headrace.errors import InvalidInput, InvalidSetting, NotFound
from headrace.model.artifact import Manifest
from headrace.model.build import Build, BuildOptions, BuildStatus
from headrace.model.plan import BuildPlan
from headrace.pipeline.request import cancel_build, request_build
from headrace.pipeline.services import Services
from headrace.records import builds, decisions

router = router_of("builds")

_PREFER_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*(\d{1,5})\b")
#: No client gets an answer later than this by `Prefer: wait`.
_MOST_SECONDS = 600

_ASKED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": BuildView,
        "description": "It was built before, or it has ended; or its events, with `stream`.",
        **STREAM_RESPONSE,
    },
    202: {
        "model": BuildView,
        "description": "A new build, or the one that the same inputs have running.",
        "links": OF_BUILD,
    },
}
Prefer = Annotated[
    str | None, Header(max_length=200, description="`wait=N`: answer when the build has ended, in N seconds at most.")
]


class BuildsQuery(PageQuery):
    status: BuildStatus | None = Field(default=None, description="Builds with this status only.")


@router.post(
    "/projects/{project_id}/builds",
    status_code=202,
    response_model=BuildView,
    responses=_ASKED,
    openapi_extra=json_request(BuildRequest, optional=True),
)
async def ask_for_build(
    request: Request,
    services: Wired,
    endings: Waiting,
    streams: Streaming,
    project_id: str,
    body: Annotated[BuildRequest, Depends(json_body(BuildRequest, optional=True))],
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """
    Build a version. The same inputs give the build that they gave before, unless `force` is set.

    Leaving a stream or a wait early does not cancel the build.
    """
    project = await find_project(services, project_id)

    async def act() -> Response:
        _check_executor(services, body.options.executor)
        options = BuildOptions(**{name: getattr(body.options, name) for name in BuildOptions.model_fields})
        build, new = await request_build(services, project, body.version, options)
        # The build is what a repeated request gets; how it is waited for is each request's own.
        status = 200 if build.status.terminal and not new else 202
        return answer(await build_view(services, build), status=status, location=f"/api/v1/builds/{build.id}")

    asked = await once(services, request, idempotency_key, canonical(body.model_dump(mode="json")), act)
    build_id = asked.headers["location"].rpartition("/")[2]
    if body.stream:
        return await streams.respond(request, build_id, follow=True)
    seconds = _wait_seconds(body, prefer)
    return asked if seconds == 0 else await _waited(services, endings, build_id, seconds)


@router.post(
    "/workspaces/{workspace}/configs/{project_id}/builds",
    status_code=202,
    response_model=BuildView,
    responses=_ASKED,
    openapi_extra=json_request(BuildRequest, optional=True),
)
async def ask_for_config_build(
    request: Request,
    services: Wired,
    endings: Waiting,
    streams: Streaming,
    workspace: Workspace,  # noqa: ARG001 - checked by its dependency
    project_id: str,
    body: Annotated[BuildRequest, Depends(json_body(BuildRequest, optional=True))],
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """The same as `POST /projects/{id}/builds`, where clients of Python configuration packages look for it."""
    return await ask_for_build(request, services, endings, streams, project_id, body, idempotency_key, prefer)


@router.get("/projects/{project_id}/builds", response_model=Page[BuildView])
async def list_project_builds(
    request: Request, services: Wired, project_id: str, query: Annotated[BuildsQuery, Query()]
) -> Response:
    """The project's builds, the newest first."""
    project = await find_project(services, project_id)
    async with services.db.read() as c:
        shown = await builds.page(
            c, project_id=project.id, status=query.status, after=query.cursor, limit=query.limit + 1
        )
    return page(request, await build_views(services, shown), query)


@router.get("/builds", response_model=Page[BuildView])
async def list_builds(request: Request, services: Wired, query: Annotated[BuildsQuery, Query()]) -> Response:
    """Builds of all projects, the newest first."""
    async with services.db.read() as c:
        shown = await builds.page(
            c, workspace=WORKSPACE, status=query.status, after=query.cursor, limit=query.limit + 1
        )
    return page(request, await build_views(services, shown), query)


@router.get("/builds/{build_id}", response_model=BuildView)
async def get_build(
    request: Request, services: Wired, endings: Waiting, build_id: str, prefer: Prefer = None
) -> Response:
    build = await find_build(services, build_id)
    if (seconds := _preferred(prefer)) and not build.status.terminal:
        build = await endings.wait(build.id, seconds)
    return resource(request, await build_view(services, build))


@router.get("/builds/{build_id}/plan", response_model=BuildPlan)
async def get_plan(request: Request, services: Wired, build_id: str) -> Response:
    """What the build runs, and why. 404 until it is planned."""
    build = await find_build(services, build_id)
    if build.plan is None:
        raise NotFound(
            f"{build_id} has no plan", code="build.not_planned", hint="it ended before it was planned, or will be"
        )
    return resource(request, BuildPlan.model_validate_json(await services.store.read(build.plan)))


@router.get("/builds/{build_id}/artifact", response_model=ManifestView)
async def get_artifact(request: Request, services: Wired, build_id: str) -> Response:
    """The manifest of what the build made: every file with its digest, and how they answer. 404 until it is made."""
    build = await find_build(services, build_id)
    if build.artifact is None:
        raise NotFound(
            f"{build_id} has no artifact", code="build.no_artifact", hint="only a build that succeeded has one"
        )
    manifest = Manifest.model_validate_json(await services.store.read(build.artifact))
    return resource(request, ManifestView(files=manifest.files, routing=manifest.routing, digest=build.artifact))


@router.get("/builds/{build_id}/cache", response_model=CacheDecisions)
async def get_cache_decisions(request: Request, services: Wired, build_id: str) -> Response:
    """What each cache answered, under which key, and which input made the difference."""
    build = await find_build(services, build_id)
    async with services.db.read() as c:
        made = await decisions.of_build(c, build.id)
    return resource(request, CacheDecisions(items=made))


@router.get("/builds/{build_id}/network", response_model=NetworkView)
async def get_network(request: Request, services: Wired, build_id: str) -> Response:
    """The network ledger: each host that the build's commands reached or were refused, with the bytes, by step."""
    build = await find_build(services, build_id)
    return resource(request, NetworkView(items=list(build.network)))


@router.post("/builds/{build_id}/cancel", response_model=BuildView)
async def cancel(request: Request, services: Wired, build_id: str, idempotency_key: IdempotencyKey = None) -> Response:
    """
    Ask for the end of a build. It ends within seconds as cancelled, and asking again changes nothing. 409 once it is deployed or
    has ended by itself.
    """
    build = await find_build(services, build_id)

    async def act() -> Response:
        return answer(await build_view(services, await cancel_build(services, build, by="api")))

    return await once(services, request, idempotency_key, b"", act)


def _check_executor(services: Services, name: str | None) -> None:
    try:
        services.executor_for(name)
    except InvalidSetting as exc:  # the operator's fault in a setting, the client's in a request
        if name is None:
            raise
        raise InvalidInput(exc.message, hint=exc.hint, code="executor.unknown", field="/options/executor") from exc


async def _waited(services: Services, endings: Endings, build_id: str, seconds: float | None) -> Response:
    build: Build = await endings.wait(build_id, seconds)
    status = 200 if build.status.terminal else 202
    return answer(await build_view(services, build), status=status, location=f"/api/v1/builds/{build.id}")


def _wait_seconds(body: BuildRequest, prefer: str | None) -> float | None:
    """None waits as long as it takes."""
    return None if body.options.wait else _preferred(prefer)


def _preferred(prefer: str | None) -> float:
    given = _PREFER_WAIT.search(prefer or "")
    return float(min(int(given[1]), _MOST_SECONDS)) if given else 0.0
