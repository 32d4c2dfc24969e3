"""What every route works with: the wired services, and the workspace that the caller may see."""

from typing import Annotated

from fastapi import Depends, Path, Request

from headrace.api.endings import Endings
from headrace.api.streams import Streams
from headrace.errors import NotFound, found
from headrace.model.build import Build
from headrace.model.ids import is_id
from headrace.model.project import Project
from headrace.model.version import Version
from headrace.pipeline.services import Services
from headrace.preview.sessions import Previews
from headrace.records import builds, projects, versions
from headrace.sync.recent import RecentTrees

#: The one workspace there is so far.
WORKSPACE = "default"


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _endings(request: Request) -> Endings:
    endings: Endings = request.app.state.endings
    return endings


def _streams(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


def _previews(request: Request) -> Previews:
    previews: Previews = request.app.state.previews
    return previews


def _recent(request: Request) -> RecentTrees:
    recent: RecentTrees = request.app.state.recent
    return recent


def _own_workspace(workspace: Annotated[str, Path(json_schema_extra={"enum": [WORKSPACE]})]) -> str:
    if workspace != WORKSPACE:
        raise _unknown(workspace)
    return workspace


Wired = Annotated[Services, Depends(_services)]
Waiting = Annotated[Endings, Depends(_endings)]
Streaming = Annotated[Streams, Depends(_streams)]
Previewing = Annotated[Previews, Depends(_previews)]
Recent = Annotated[RecentTrees, Depends(_recent)]
Workspace = Annotated[str, Depends(_own_workspace)]


async def find_project(services: Services, project_id: str) -> Project:
    """Raises NotFound for an id that is unknown, another workspace's, or no id at all: the three answer the same."""
    if not is_id(project_id):
        raise _unknown(project_id)
    async with services.db.read() as c:
        return found(await projects.get(c, project_id, workspace=WORKSPACE), project_id)


async def find_build(services: Services, build_id: str) -> Build:
    if not is_id(build_id):
        raise _unknown(build_id)
    async with services.db.read() as c:
        return found(await builds.get(c, build_id, workspace=WORKSPACE), build_id)


async def find_version(services: Services, version_id: str) -> Version:
    async with services.db.read() as c:
        version = await versions.get(c, version_id, workspace=WORKSPACE) if is_id(version_id) else None
    return found(version, version_id[:80])


def _unknown(name: str) -> NotFound:
    return NotFound(f"{name[:80]} does not exist", hint="check the id")
