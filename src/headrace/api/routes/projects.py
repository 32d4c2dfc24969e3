"""Projects."""

import asyncio
from typing import Annotated, Any

import orjson
from fastapi import Depends, Query, Request
from pydantic import Field, ValidationError
from starlette.responses import Response

from headrace.api.answers import PageQuery, answer, page, refuse_changed, resource
from headrace.api.body import canonical, details_of, json_body, json_request
from headrace.api.context import WORKSPACE, Previewing, Waiting, Wired, Workspace, find_project
from headrace.api.endings import Endings
from headrace.api.links import OF_PROJECT
from headrace.api.once import IdempotencyKey, once
from headrace.api.problems import InvalidRequest
from headrace.api.project_rules import check_origin, check_protection, check_settings, check_source, with_root
from headrace.api.requests import NewProject, ProjectChange
from headrace.api.router import router_of
from headrace.api.views import BucketView, Page, ProjectView, project_view
from headrace.errors import Conflict, InvalidInput, found
from headrace.model.ids import is_id, made_at, new_id
from headrace.model.project import Project, ProjectSettings, slug_from
from headrace.model.version import BucketSource, Source, VersionSource
from headrace.pipeline.from_git import bucket_of, copied
from headrace.pipeline.request import cancel_build
from headrace.pipeline.services import Services
from headrace.pipeline.source import add_version
from headrace.preview.passwords import hash_password
from headrace.records import builds, deployments, projects, versions

router = router_of("projects")

#: How long the deletion of a busy project waits for its builds to end.
_CANCEL_SECONDS = 10.0


class ProjectsQuery(PageQuery):
    slug: str | None = Field(default=None, max_length=63, description="The project with this slug only.")


@router.post(
    "/workspaces/{workspace}/projects",
    status_code=201,
    response_model=ProjectView,
    responses={201: {"links": OF_PROJECT}},
    openapi_extra=json_request(NewProject),
)
async def create_project(
    request: Request,
    services: Wired,
    workspace: Workspace,
    body: Annotated[NewProject, Depends(json_body(NewProject))],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """
    Make a project. Without a `slug` one is made from the name. With `from_git` the repository's files are in the source, and
    its commit is the project's first version, when this is answered; when that can't be done there is no project.
    """

    async def act() -> Response:
        if body.source is not None:
            check_source(body.source, services.settings)
        check_settings(body.settings, services.settings)
        if body.settings.preview.password_hash is not None:
            raise _hash_given()
        check_protection(body.settings)
        await _check_version(services, body.source)
        project = await _make(services, workspace, body)
        return answer(project_view(services, project), status=201, location=f"/api/v1/projects/{project.id}")

    return await once(services, request, idempotency_key, canonical(body.model_dump(mode="json")), act)


@router.get("/workspaces/{workspace}/projects", response_model=Page[ProjectView])
async def list_projects(
    request: Request, services: Wired, workspace: Workspace, query: Annotated[ProjectsQuery, Query()]
) -> Response:
    """The workspace's projects, the newest first."""
    async with services.db.read() as c:
        shown = await projects.page(c, workspace, after=query.cursor, limit=query.limit + 1, slug=query.slug)
    return page(request, [project_view(services, project) for project in shown], query)


@router.get("/projects/{project_id}", response_model=ProjectView)
async def get_project(request: Request, services: Wired, project_id: str) -> Response:
    return resource(request, project_view(services, await find_project(services, project_id)))


@router.patch("/projects/{project_id}", response_model=ProjectView, openapi_extra=json_request(ProjectChange))
async def change_project(
    request: Request,
    services: Wired,
    previews: Previewing,
    project_id: str,
    body: Annotated[ProjectChange, Depends(json_body(ProjectChange))],
) -> Response:
    """Change parts of a project. With `If-Match` only when nobody else has changed it since."""
    await find_project(services, project_id)
    await _check_version(services, body.source)
    preview = body.settings.preview
    # Hashing takes a while on purpose, and the database must not wait for it.
    hashed = await hash_password(preview.password) if preview and preview.password else None
    async with services.db.write() as c:
        project = found(await projects.get(c, project_id, workspace=WORKSPACE), project_id)
        refuse_changed(request, project_view(services, project))
        changed = _changed(project, body, hashed)
        if "source" in body.model_fields_set and changed.source is not None:
            check_source(changed.source, services.settings)
        check_settings(changed.settings, services.settings)
        check_protection(changed.settings)
        changed = with_root(changed)
        await projects.update(c, changed)
    previews.changed(changed)
    return answer(project_view(services, changed))


@router.get("/projects/{project_id}/bucket", response_model=BucketView)
async def list_bucket(request: Request, services: Wired, project_id: str) -> Response:
    """The files that are in the project's bucket now, sorted by path. Nothing is fetched."""
    project = await find_project(services, project_id)
    if not isinstance(project.source, BucketSource):
        raise Conflict("the project's source is no bucket", code="project.no_bucket", hint="see its `source`")
    files = await bucket_of(services).list_files(project.source, project.id)
    return resource(request, BucketView(url=project.source.url, files=list(files)))


@router.delete("/projects/{project_id}", status_code=204)
async def delete_project(
    request: Request,
    services: Wired,
    endings: Waiting,
    previews: Previewing,
    project_id: str,
    force: Annotated[bool, Query(description="Also with builds that run: they are cancelled.")] = False,
) -> Response:
    """Remove a project, its addresses, versions, builds and logs."""
    project = await find_project(services, project_id)
    refuse_changed(request, project_view(services, project))
    await _settle(services, endings, project, force=force)
    async with services.db.write() as c:
        # Looked at again: somebody may have changed it meanwhile, or asked for a build.
        refuse_changed(request, project_view(services, found(await projects.get(c, project.id), project.id)))
        if await builds.unfinished(c, project_id=project.id):
            raise _busy()
        logs = await builds.ids(c, project.id)
        await projects.delete(c, project.id)
    await previews.forget(project)
    for log in logs:
        await services.events.delete(log)
    return Response(status_code=204)


async def _settle(services: Services, endings: Endings, project: Project, *, force: bool) -> None:
    async with services.db.read() as c:
        running = await builds.unfinished(c, project_id=project.id)
    if running and not force:
        raise _busy()
    if force:
        async with services.db.write() as c:
            await deployments.deactivate(c, project.id)
    for build in running:
        try:
            await cancel_build(services, build, by="project deletion")
        except Conflict:
            continue  # it has ended by itself just now
    await asyncio.gather(*(endings.wait(build.id, _CANCEL_SECONDS) for build in running))


async def _make(services: Services, workspace: str, body: NewProject) -> Project:
    project_id = new_id("prj")
    if body.from_git is None:
        return await _insert(services, workspace, body, project_id)
    bucket = check_origin(body.from_git, body.source, services.settings)
    async with copied(services, project_id, bucket, body.from_git) as fetched:
        project = await _insert(services, workspace, body, project_id)
        await add_version(services, project, fetched)
    return project


async def _insert(services: Services, workspace: str, body: NewProject, project_id: str) -> Project:
    async with services.db.write() as c:
        project = Project(
            id=project_id,
            workspace=workspace,
            name=body.name,
            slug=body.slug or await projects.free_slug(c, slug_from(body.name)),
            source=body.source,
            settings=body.settings,
            created_at=made_at(project_id),
        )
        project = with_root(project)
        await projects.insert(c, project)
    return project


async def _check_version(services: Services, source: Source | None) -> None:
    """A version of another workspace is as unknown as one that never was."""
    if not isinstance(source, VersionSource):
        return
    async with services.db.read() as c:
        version = await versions.get(c, source.version, workspace=WORKSPACE) if is_id(source.version) else None
    if version is None:
        said = "the source names a version that does not exist"
        raise InvalidInput(said, code="source.version_unknown", field="/source/version")


def _hash_given() -> InvalidInput:
    return InvalidInput(
        "a password's hash is made by the server",
        code="preview.password_hash",
        field="/settings/preview/password_hash",
        hint="make the project, then PATCH settings.preview.password",
    )


def _busy() -> Conflict:
    return Conflict(
        "builds of the project are queued or running",
        code="project.busy",
        hint="cancel them, or delete with ?force=true",
    )


def _changed(project: Project, change: ProjectChange, password_hash: str | None) -> Project:
    given = change.model_fields_set
    changes: dict[str, Any] = {name: getattr(change, name) for name in given - {"settings"}}
    if "settings" in given:
        patch = change.settings.model_dump(mode="json", exclude_unset=True)
        if "password" in (patch.get("preview") or {}):
            del patch["preview"]["password"]
            patch["preview"]["password_hash"] = password_hash
        changes["settings"] = _merged_settings(project.settings, patch)
    return project.but(**changes)


def _merged_settings(settings: ProjectSettings, patch: dict[str, Any]) -> ProjectSettings:
    merged = _merge(settings.model_dump(mode="json"), patch)
    try:
        return ProjectSettings.model_validate_json(orjson.dumps(merged), strict=True)
    except ValidationError as exc:
        raise InvalidRequest(details_of(exc, "/settings")) from exc


def _merge(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value)
    return merged
