"""What every route works with: the wired services, and the workspace that the caller may see."""

from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request

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
from headrace.tree import load_tree
from headrace.treediff import ChangeSet, compare_trees

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


_PLACE = "Begin behind the event with this `seq`."
#: Where a stream of events begins; `streams.cursor` reads them.
Place = Annotated[str | None, Query(max_length=20, description=_PLACE)]
PlaceHeader = Annotated[str | None, Header(alias="Last-Event-ID", description=f"{_PLACE} Wins over the parameters.")]
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


async def compared(services: Services, version: Version, against: str | None) -> tuple[Version | None, ChangeSet]:
    """What leads to a version from `against`, another one of its project, or from its parent; and which that is."""
    other = None
    if (base := against or version.parent) is not None:
        other = await find_version(services, base)
        found(other if other.project_id == version.project_id else None, base)
    before = await load_tree(services.store, other.tree) if other else None
    return other, compare_trees(before, await load_tree(services.store, version.tree))


def _unknown(name: str) -> NotFound:
    return NotFound(f"{name[:80]} does not exist", hint="check the id")
