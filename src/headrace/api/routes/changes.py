"""The files of a project as digests, and what a version changed as data."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from headrace.api.answers import answer, resource, unchanged
from headrace.api.context import Recent, Wired, compared, find_project, find_version
from headrace.api.router import router_of
from headrace.api.views import ChangesView, FileDiffView, FilesView, FileView
from headrace.records import versions
from headrace.treediff import FileDiff, diff_files

router = router_of("versions")


@router.get("/projects/{project_id}/files", response_model=FilesView)
async def list_files(request: Request, services: Wired, recent: Recent, project_id: str) -> Response:
    """The files of the project's newest version with their SHA-256 digests: who has the same ones need not send them."""
    project = await find_project(services, project_id)
    async with services.db.read() as c:
        newest = await versions.newest(c, project.id)
    # A version never changes, so its id is all that a validator needs.
    etag = f'"{newest.id if newest else "none"}"'
    if (same := unchanged(request, etag)) is not None:
        return same
    files = (await recent.get(newest.tree)).all() if newest else []
    shown = [FileView.model_construct(**file.model_dump()) for file in files]
    response = answer(FilesView.model_construct(version=newest.id if newest else None, files=shown))
    response.headers["ETag"] = etag
    return response


@router.get("/versions/{version_id}/changes", response_model=ChangesView)
async def get_changes(
    request: Request,
    services: Wired,
    version_id: str,
    against: Annotated[
        str | None, Query(max_length=40, description="Compare with this version, not the parent.")
    ] = None,
) -> Response:
    """What a version changed, file by file: digests before and after, and the lines that differ."""
    version = await find_version(services, version_id)
    other, changes = await compared(services, version, against)
    code_diff = {diff.change.path: _shown(diff) async for diff in diff_files(changes, services.store.read)}
    return resource(request, ChangesView(version=version.id, against=other.id if other else None, code_diff=code_diff))


def _shown(diff: FileDiff) -> FileDiffView:
    before, after = diff.change.before, diff.change.after
    mode_changed = after is not None and after.executable != (before.executable if before else False)
    return FileDiffView(
        change=diff.change.kind,
        before=before.digest if before else None,
        after=after.digest if after else None,
        renamed_from=before.path if before and after and before.path != after.path else None,
        executable=after.executable if after and mode_changed else None,
        omitted=diff.omitted,
        hunks=list(diff.hunks),
    )
