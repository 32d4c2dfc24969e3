"""Sync: changed files in, a version out, and with `wait` the answer whether its preview shows it."""

import asyncio
import base64
import binascii
import time
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import structlog
from fastapi import Depends, Query, Request
from starlette.responses import Response

from headrace.api.answers import answer
from headrace.api.body import json_request, parse, read_bytes, refuse_other_types, validate_document
from headrace.api.context import Previewing, Recent, Wired, find_project
from headrace.api.links import links
from headrace.api.once import IdempotencyKey, once
from headrace.api.problems import MEDIA_TYPE
from headrace.api.requests import MOST_WAIT_SECONDS, ProjectSyncRequest, SyncFile, SyncRequest
from headrace.api.router import router_of
from headrace.api.views import SyncView
from headrace.errors import HeadraceError, InvalidInput, TooLarge
from headrace.model.change import Change, Edit
from headrace.model.limits import MIB
from headrace.model.preview import PreviewState, PreviewStatus
from headrace.model.project import Project
from headrace.model.version import Author
from headrace.pipeline.services import Services
from headrace.preview.sessions import Previews
from headrace.sync.entries import SyncLimits
from headrace.sync.errors import Wrong, refused
from headrace.sync.notified import Named, fetch_edits
from headrace.sync.recent import RecentTrees
from headrace.sync.sync import Synced, sync_files

router = router_of("sync")

_log = structlog.get_logger(__name__)

#: A body is in memory several times while it is read.
_MOST_BYTES = 64 * MIB
#: Of a batch that is too large for one sync, so that this can be said of it.
_NODES = 1_000_000
#: Larger bodies are read in a thread.
_LARGE = MIB // 4

M = TypeVar("M", bound=ProjectSyncRequest)

_REFUSED: dict[int | str, dict[str, Any]] = {
    200: {"links": links("version", "version_id", "get_version", "get_changes")},
    409: {
        "description": "Others changed the same files since the base version, or there is no bucket to fetch from.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/SyncProblem"}}},
    },
}

Wait = Annotated[bool | None, Query(description="Like the field of the body, and wins over it.")]
Timeout = Annotated[float | None, Query(ge=0, le=MOST_WAIT_SECONDS, description="Like the field of the body.")]


class _Body:
    """Reads a body like `json_body`, with room for many files."""

    def __init__(self, model: type[M]) -> None:
        self._model = model

    async def __call__(self, request: Request, services: Wired) -> tuple[ProjectSyncRequest, bytes]:
        raw = await read_bytes(request, min(_MOST_BYTES, 2 * services.settings.upload_bytes + MIB))
        refuse_other_types(request, "application/json")
        limits = SyncLimits.of(services.settings)
        if len(raw) > _LARGE:
            return await asyncio.to_thread(self._read, raw, limits), raw
        return self._read(raw, limits), raw

    def _read(self, raw: bytes, limits: SyncLimits) -> ProjectSyncRequest:
        document = parse(raw, nodes=_NODES, nul=True)
        for name in ("files", "changed_files"):
            entries = document.get(name) if isinstance(document, dict) else None
            if isinstance(entries, list) and len(entries) > limits.entries:
                raise TooLarge(
                    f"{len(entries)} files are more than the {limits.entries} of one request",
                    code="batch.too_many",
                    field=f"/{name}",
                    hint="send them in several requests, or upload an archive: POST /projects/{id}/versions",
                )
        return validate_document(self._model, document)


@router.post(
    "/projects/{project_id}/sync",
    response_model=SyncView,
    responses=_REFUSED,
    openapi_extra=json_request(ProjectSyncRequest),
)
async def sync_project(
    request: Request,
    services: Wired,
    recent: Recent,
    previews: Previewing,
    project_id: str,
    body: Annotated[tuple[ProjectSyncRequest, bytes], Depends(_Body(ProjectSyncRequest))],
    wait: Wait = None,
    timeout: Timeout = None,  # noqa: ASYNC109 - a parameter of the request
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """
    Change some files of a project: all of them, or none.

    What others changed since `base_version` is merged line by line; where both changed the same lines nothing is done, and the
    409 has the lines of both sides. With `wait` the answer comes when the preview shows the change, or has failed at it.
    """
    named = body[0].project_id
    if named is not None and named != project_id:
        said = "the body names another project than the address"
        raise InvalidInput(said, code="project.mismatch", field="/project_id")
    work = _Sync(services, recent, previews, body[0], wait=wait, timeout=timeout)
    project = await find_project(services, project_id)
    return await once(services, request, idempotency_key, body[1], lambda: work.do(project))


@router.post("/sync", response_model=SyncView, responses=_REFUSED, openapi_extra=json_request(SyncRequest))
async def sync(
    request: Request,
    services: Wired,
    recent: Recent,
    previews: Previewing,
    body: Annotated[tuple[ProjectSyncRequest, bytes], Depends(_Body(SyncRequest))],
    wait: Wait = None,
    timeout: Timeout = None,  # noqa: ASYNC109
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """The same for clients that name the project in the body."""
    work = _Sync(services, recent, previews, body[0], wait=wait, timeout=timeout)
    project = await find_project(services, body[0].project_id or "")
    return await once(services, request, idempotency_key, body[1], lambda: work.do(project))


class _Sync:
    """One request."""

    def __init__(
        self,
        services: Services,
        recent: RecentTrees,
        previews: Previews,
        body: ProjectSyncRequest,
        *,
        wait: bool | None,
        timeout: float | None,
    ) -> None:
        self._began = time.monotonic()
        self._services, self._recent, self._previews, self._body = services, recent, previews, body
        self._wait = body.wait if wait is None else wait
        self._timeout = body.timeout if timeout is None else timeout

    async def do(self, project: Project) -> Response:
        body = self._body
        if body.files is not None:
            edits = _edits(body.files)
        else:
            named = [Named(one.path, one.type) for one in body.changed_files or ()]
            edits = await fetch_edits(self._services, project, named)
        change = Change(
            edits=edits,
            base_version=body.base_version,
            author=Author(kind=body.author.kind, name=body.author.name),
            message=body.message,
        )
        early = partial(self._previews.begin, project)
        synced = await sync_files(self._services, self._recent, project, change, early)
        return answer(self._view(project, synced, await self._preview(project, synced)))

    async def _preview(self, project: Project, synced: Synced) -> PreviewState | None:
        """How the preview stands. The version is stored: a preview that can't be had is no failure of the sync."""
        version = synced.version
        if version is None:
            return None
        try:
            # Shown again, too, when nothing changed: it may sleep, and who sends files wants to see them.
            await self._previews.show(project, version)
            if self._wait:
                return await self._previews.wait(project.id, version.id, self._timeout)
            return await self._previews.state(project)
        except HeadraceError as exc:
            _log.warning("the preview does not take a version", project=project.id, error=str(exc))
            return None

    def _view(self, project: Project, synced: Synced, preview: PreviewState | None) -> SyncView:
        version = synced.version.id if synced.version else None
        status = self._status(version, preview)
        ended = self._wait and status in ("ready", "error")
        return SyncView(
            status=status if synced.changes else "no_changes",
            version=version,
            changes=list(synced.changes),
            merged=synced.merged,
            url=(preview.url if preview else None) or self._services.public.site(f"{project.slug}.preview"),
            preview=preview,
            seconds=round(time.monotonic() - self._began, 4) if ended else None,
            served_version=preview.served_version if preview else None,
            diagnostics=list(preview.diagnostics) if preview and status == "error" else [],
        )

    def _status(self, version: str | None, preview: PreviewState | None) -> Literal["building", "ready", "error"]:
        """Of this version. Who does not wait is told `building`: what it was told a moment later could be another thing."""
        if not self._wait or preview is None or version is None:
            return "building"
        if (preview.served_version or "") >= version:
            return "ready"
        return "error" if preview.status is PreviewStatus.ERROR and (preview.version or "") >= version else "building"


def _edits(files: Sequence[SyncFile]) -> tuple[Edit, ...]:
    edits, wrong = [], []
    for at, file in enumerate(files):
        try:
            content = _content(file)
        except (binascii.Error, ValueError):
            wrong.append(Wrong(at, "content.base64", "the content is not base64", field="content"))
            continue
        edits.append(
            Edit(path=file.path, content=content, digest=file.digest, delete=file.delete, executable=file.executable)
        )
    if wrong:
        raise refused(wrong)
    return tuple(edits)


def _content(file: SyncFile) -> bytes | None:
    if file.content is None:
        return None
    return base64.b64decode(file.content, validate=True) if file.encoding == "base64" else file.content.encode()
