"""All previews of one process: found by project or address, put to sleep when idle or when memory is short."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import structlog

from headrace.errors import HeadraceError
from headrace.model.event import BuildCompleted, Event
from headrace.model.preview import PreviewEvent, PreviewState
from headrace.model.project import Project
from headrace.model.trust import Trust
from headrace.model.version import Version
from headrace.pipeline.kept_pages import KeptPages
from headrace.pipeline.services import Services
from headrace.preview.blobs import Blobs
from headrace.preview.facts import Facts
from headrace.preview.session import Session
from headrace.preview.visit import Visit
from headrace.records import projects, versions
from headrace.settings import server_secret

_log = structlog.get_logger(__name__)

#: How often idle ones are looked for and memory is counted.
_LOOK_SECONDS = 2.0
#: What a builder is taken to need before it was measured.
_TYPICAL_BYTES = 160 * 1024 * 1024
#: How old a project may be that a visitor's address was looked up with.
_PROJECT_SECONDS = 1.0
_MOST_ADDRESSES = 10_000
#: A visitor of a sleeping preview waits this long for the page before he is shown that it is being made.
_FIRST_PAGE_SECONDS = 5.0


@asynccontextmanager
async def open_previews(services: Services) -> AsyncIterator["Previews"]:
    """Previews of this process, as long as this is open. All of them sleep when it closes."""
    secret = await asyncio.to_thread(server_secret, services.settings)
    previews = Previews(services, secret)
    services.journal.listen(previews.heard)
    house = asyncio.create_task(previews.keep_house(), name="previews")
    try:
        yield previews
    finally:
        house.cancel()
        await asyncio.gather(house, return_exceptions=True)
        await previews.close()


class Previews:
    """For one event loop."""

    def __init__(self, services: Services, secret: bytes) -> None:
        self.secret = secret
        self.blobs = Blobs(services.store)
        self._services = services
        self._facts = Facts(services.events)
        self._kept = KeptPages(services.settings.data_dir / "previews")
        self._sessions: dict[str, Session] = {}
        self._addresses: dict[str, tuple[float, Project | None]] = {}
        self._following: set[asyncio.Task[None]] = set()

    async def show(self, project: Project, version: Version) -> None:
        """A new version exists: bring it to the page. Returns at once."""
        self._session(project).show(version)

    def begin(self, project: Project, version_id: str, written: Mapping[str, bytes], removed: Collection[str]) -> None:
        """A change is being stored as this version. A builder that is awake gets it now; `show` follows, or doesn't."""
        if session := self._sessions.get(project.id):
            session.begin(version_id, written, removed)

    async def wait(self, project_id: str, version_id: str, seconds: float) -> PreviewState:
        """Until this or a newer version is shown or has failed, or the time is over."""
        session = self._sessions[project_id]
        await session.wait(version_id, seconds)
        return session.state()

    async def state(self, project: Project) -> PreviewState:
        session = self._session(project)
        state = session.state(await session.memory() or None)
        if state.version is None and (newest := await self._newest(project)):
            return state.but(version=newest.id)
        return state

    async def wake(self, project: Project) -> PreviewState:
        session = self._session(project)
        session.wake(await self._newest(project))
        return session.state()

    async def stop(self, project: Project) -> PreviewState:
        session = self._session(project)
        await session.sleep("asked")
        return session.state()

    async def all(self) -> Sequence[PreviewState]:
        """Of the previews that were used since this process began, the last used first."""
        sessions = sorted(self._sessions.values(), key=lambda session: session.used_at, reverse=True)
        return [session.state(await session.memory() or None) for session in sessions]

    def log(self, project_id: str) -> str:
        """Name of the project's preview log."""
        return project_id

    async def record(self, event: PreviewEvent) -> None:
        """Note what a page or somebody else says of a preview. A log that is full of it takes no more until the next life."""
        if not self._facts.is_full(event.project_id):
            self._facts.say(event)

    async def look(self, slug: str) -> Visit | None:
        """How a preview stands, without waking it or waiting; None when no project has the address."""
        project = await self._by_slug(slug)
        return self._session(project).visit() if project is not None else None

    async def visit(
        self, slug: str, *, min_version: str | None = None, seconds: float = 30.0, of_open_page: bool = False
    ) -> Visit | None:
        """
        What the visitor of a preview's address gets; None when no project has it. `of_open_page`: nobody comes, a page that
        is open goes on loading things, which does not end a sleep that somebody asked for.
        """
        project = await self._by_slug(slug)
        if project is None:
            return None
        session = self._session(project)
        newest = None if session.awake else await self._newest(project)
        # Not before: it may have been put to sleep meanwhile.
        if of_open_page and session.rests:
            return session.visit(missed=min_version is not None and not session.serves(min_version), rests=True)
        if not session.awake:
            session.wake(newest)
        session.touch()
        if min_version is not None:
            await session.wait(min_version, seconds)
            return session.visit(missed=not session.serves(min_version))
        await session.wait_for_page(min(seconds, _FIRST_PAGE_SECONDS))
        return session.visit()

    def changed(self, project: Project) -> None:
        """The project's name or settings are others now."""
        self._addresses.clear()
        if session := self._sessions.get(project.id):
            before, session.project = session.project, project
            if _made_with(before) != _made_with(project):
                session.restart()

    async def forget(self, project: Project) -> None:
        """The project is no more."""
        self._addresses.clear()
        if session := self._sessions.pop(project.id, None):
            await session.sleep("asked")
        await self._facts.flush()
        self._kept.forget(project.id)
        await self._services.events.delete(self.log(project.id))

    def heard(self, event: Event) -> None:
        """A build that made a version of its own: who looks at the preview wants to see it too."""
        if isinstance(event, BuildCompleted) and event.version_id is not None:
            task = asyncio.get_running_loop().create_task(self._follow(event.version_id))
            self._following.add(task)
            task.add_done_callback(self._following.discard)

    async def keep_house(self) -> None:
        """Put previews to sleep that are idle, or that memory is needed from, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            idle = time.monotonic() - self._services.settings.preview_idle_seconds
            for session in list(self._sessions.values()):
                if session.warm is not None and not session.busy and session.used_at < idle:
                    await session.sleep("idle")
            with suppress(HeadraceError, OSError):
                await self._make_room(0)

    async def close(self) -> None:
        await asyncio.gather(*(session.sleep("server") for session in self._sessions.values()))
        await self._facts.flush()

    def _session(self, project: Project) -> Session:
        session = self._sessions.get(project.id)
        if session is None:
            session = self._sessions[project.id] = Session(
                self._services,
                project,
                blobs=self.blobs,
                facts=self._facts,
                kept=self._kept,
                secret=self.secret,
                room=self._room,
            )
        return session

    async def _room(self) -> None:
        await self._make_room(_TYPICAL_BYTES)

    async def _make_room(self, more: int) -> None:
        """Put the least recently used to sleep until `more` bytes fit into the budget. What works now stays."""
        awake = [session for session in self._sessions.values() if session.warm is not None]
        used = {session.project.id: await session.memory() for session in awake}
        total = sum(used.values()) + more
        for session in sorted(awake, key=lambda session: session.used_at):
            if total <= self._services.settings.preview_memory_bytes:
                return
            if not session.busy:
                total -= used[session.project.id]
                await session.sleep("memory")

    async def _by_slug(self, slug: str) -> Project | None:
        until, project = self._addresses.get(slug, (0.0, None))
        if time.monotonic() < until:
            return project
        async with self._services.db.read() as c:
            project = await projects.by_slug(c, slug)
        if len(self._addresses) >= _MOST_ADDRESSES:
            self._addresses.clear()
        self._addresses[slug] = (time.monotonic() + _PROJECT_SECONDS, project)
        if project is not None and (session := self._sessions.get(project.id)):
            session.project = project
        return project

    async def _newest(self, project: Project) -> Version | None:
        async with self._services.db.read() as c:
            return await versions.newest(c, project.id)

    async def _follow(self, version_id: str) -> None:
        async with self._services.db.read() as c:
            version = await versions.get(c, version_id)
        session = self._sessions.get(version.project_id) if version else None
        if version is None or version.trust is not Trust.TRUSTED:
            return
        if session is not None and session.awake:
            session.show(version)


def _made_with(project: Project) -> tuple[object, ...]:
    """The settings that decide how a builder runs."""
    settings = project.settings
    return (settings.root, settings.app, settings.env, settings.build_network, settings.limits, settings.preview.mode)
