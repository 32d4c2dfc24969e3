"""Versions: what was uploaded or fetched, each an immutable tree."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from headrace.api.answers import Paging, answer, page, resource
from headrace.api.body import refuse_other_types
from headrace.api.context import Wired, compared, find_project, find_version
from headrace.api.links import OF_VERSION
from headrace.api.once import IdempotencyKey, once
from headrace.api.router import router_of
from headrace.api.uploads import MEDIA_TYPES, received
from headrace.api.views import Page, VersionView
from headrace.model.trust import Trust
from headrace.model.version import Version
from headrace.pipeline.services import Services
from headrace.pipeline.upload import upload_version
from headrace.records import versions
from headrace.treediff import unified_diff_text

router = router_of("versions")

_ARCHIVE = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/projects/{project_id}/versions",
    status_code=201,
    response_model=VersionView,
    responses={
        200: {
            "model": VersionView,
            "description": "The newest version of this trust already has this tree.",
            "links": OF_VERSION,
        },
        201: {"links": OF_VERSION},
    },
    openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(MEDIA_TYPES, _ARCHIVE)}},
)
async def upload(
    request: Request,
    services: Wired,
    project_id: str,
    message: Annotated[str, Query(max_length=4000)] = "",
    author: Annotated[str, Query(max_length=200)] = "",
    trust: Annotated[
        Trust, Query(description="`untrusted`: never the project's newest version, and every build of it is untrusted.")
    ] = Trust.TRUSTED,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Upload a tar, tar.gz or zip file of the project's files as a new version."""
    project = await find_project(services, project_id)
    refuse_other_types(request, *MEDIA_TYPES)
    directory = services.settings.data_dir / "uploads"
    async with received(request, directory, services.settings.upload_bytes) as upload:

        async def act() -> Response:
            version, new = await upload_version(
                services, project, upload.archive, upload.into, author=author, message=message, trust=trust
            )
            location = f"/api/v1/versions/{version.id}"
            return answer(await _view(services, version, None), status=201 if new else 200, location=location)

        return await once(services, request, idempotency_key, upload.digest, act)


@router.get("/projects/{project_id}/versions", response_model=Page[Version])
async def list_versions(request: Request, services: Wired, project_id: str, query: Paging) -> Response:
    """The project's versions, the newest first."""
    project = await find_project(services, project_id)
    async with services.db.read() as c:
        shown = await versions.page(c, project.id, after=query.cursor, limit=query.limit + 1)
    return page(request, shown, query)


@router.get("/versions/{version_id}", response_model=VersionView)
async def get_version(
    request: Request,
    services: Wired,
    version_id: str,
    against: Annotated[
        str | None, Query(max_length=40, description="Compare with this version, not the parent.")
    ] = None,
) -> Response:
    """A version, and how it differs from its parent or from another version of the project."""
    version = await find_version(services, version_id)
    return resource(request, await _view(services, version, against))


async def _view(services: Services, version: Version, against: str | None) -> VersionView:
    other, changes = await compared(services, version, against)
    text = await unified_diff_text(changes, services.store.read)
    fields = {name: getattr(version, name) for name in Version.model_fields}
    return VersionView(**fields, unified_diff_text=text, against=other.id if other else None)
