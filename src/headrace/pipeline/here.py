"""A whole build in this process, without a server."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import orjson

from headrace.errors import Conflict, StepFailed, found
from headrace.model.build import Build, BuildOptions
from headrace.model.event import EVENT, Event
from headrace.model.ids import made_at, new_id
from headrace.model.project import Project, ProjectSettings, slug_from
from headrace.model.version import DirectorySource, GitSource, place_name
from headrace.pipeline.request import cancel_build, request_build
from headrace.pipeline.services import Services
from headrace.pipeline.source import add_version
from headrace.pipeline.work import Worker
from headrace.records import projects

#: Called with every event of the build, in order, and with its line as it is stored.
OnEvent = Callable[[Event, bytes], None]


async def build_here(
    services: Services,
    worker: Worker,
    source: DirectorySource | GitSource,
    options: BuildOptions,
    app: str | None = None,
    on_event: OnEvent | None = None,
    cancelled: asyncio.Event | None = None,
) -> Build:
    """
    Build a directory or a repository, or the named one of its apps, and return the ended build; the same inputs give the build they gave before.

    `worker` must be working on the services' queue. `cancelled` is set when the user wants it to end.
    """
    project = await project_of(services, source, app)
    version_id = None
    if isinstance(source, DirectorySource):
        # Read now, so that equal directories are answered without a new build. A directory that can't be a version is
        # read again by its build, which ends with the reason.
        into = services.settings.data_dir / "builds" / "none"
        with suppress(StepFailed):
            fetched = await services.sources["directory"].fetch(source, into, seconds=services.settings.clone_seconds)
            version_id = (await add_version(services, project, fetched, options.trust)).id
    build, _ = await request_build(services, project, version_id, options)
    follow = asyncio.create_task(_follow(services, build, on_event))
    wish = asyncio.create_task((cancelled or asyncio.Event()).wait())
    try:
        await asyncio.wait({follow, wish}, return_when=asyncio.FIRST_COMPLETED)
        if not follow.done():
            with suppress(Conflict):  # it is deployed already, and ends by itself
                await cancel_build(services, build, by="user")
                worker.notice_cancel(build.id)
        await follow
    finally:
        wish.cancel()
    # The log ends a moment before the row knows it.
    return found(await services.journal.replay(build.id), build.id)


async def project_of(services: Services, source: DirectorySource | GitSource, app: str | None = None) -> Project:
    """The project of a source or of one of its apps: the one made for it before, or a new one named after it."""
    async with services.db.write() as c:
        known = await projects.by_source(c, "default", source, app)
        if known is not None:
            return known
        name = place_name(source, app)
        project_id = new_id("prj")
        project = Project(
            id=project_id,
            workspace="default",
            name=name,
            slug=await projects.free_slug(c, slug_from(name)),
            source=source,
            settings=ProjectSettings(app=app),
            created_at=made_at(project_id),
        )
        await projects.insert(c, project)
        return project


async def _follow(services: Services, build: Build, on_event: OnEvent | None) -> None:
    rest = b""
    async for piece in services.events.read_bytes(build.id, follow=not build.status.terminal):
        *lines, rest = (rest + piece).split(b"\n")
        if on_event:
            for line in lines:
                on_event(EVENT.validate_python(orjson.loads(line)), line)
