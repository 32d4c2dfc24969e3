"""
The life of one project's preview: versions come, pages go up, the last good one stays while a new one fails.

Versions are brought to the page one at a time, always the newest: what came while one was being made is skipped.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress

import structlog

from headrace.errors import HeadraceError, StepFailed
from headrace.model.diagnostic import Diagnostic
from headrace.model.preview import (
    PreviewAsleep,
    PreviewBuilding,
    PreviewEgressUsed,
    PreviewFailed,
    PreviewReady,
    PreviewStarted,
    PreviewState,
    PreviewStatus,
)
from headrace.model.project import Project
from headrace.model.version import Version
from headrace.pipeline.kept_pages import KeptPages
from headrace.pipeline.services import Services
from headrace.preview.base import Outcome
from headrace.preview.blobs import Blobs
from headrace.preview.choice import Choice
from headrace.preview.current_page import CurrentPage, Display
from headrace.preview.facts import Facts
from headrace.preview.making import Begun, Made, Maker
from headrace.preview.output import Shown
from headrace.preview.visit import Visit
from headrace.preview.warm import Warm

_log = structlog.get_logger(__name__)

#: A builder that died or could not be started is not tried again by visits for this long; a change tries at once.
RETRY_SECONDS = 5.0


class Session:
    """For one event loop. `room` is awaited before a builder is started."""

    def __init__(
        self,
        services: Services,
        project: Project,
        *,
        blobs: Blobs,
        facts: Facts,
        kept: KeptPages,
        secret: bytes,
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self.project = project
        self.used_at = time.monotonic()
        #: Somebody asked for its sleep, and nobody has come since.
        self.rests = False
        self.warm: Warm | None = None
        self._services = services
        self._facts = facts
        self._secret = secret
        self._room = room
        self._maker = Maker(services, self._started, self._failed_later)
        self._head: Version | None = None
        self._came: dict[str, float] = {}
        #: The newest version that was shown or failed.
        self._settled = ""
        self._status = PreviewStatus.ASLEEP
        self._outcome = Outcome(ok=True)
        self._seconds: float | None = None
        self._choice: Choice | None = None
        self._display = Display(project.id, blobs, kept)
        self._work: asyncio.Task[None] | None = None
        self._begun: Begun | None = None
        #: The next one is made by a new builder: what the one that runs was started with holds no more.
        self._anew = False
        self._watching: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._changed = asyncio.Event()

    @property
    def awake(self) -> bool:
        return self.warm is not None or self._work is not None

    def touch(self) -> None:
        """Somebody uses it now."""
        self.used_at = time.monotonic()
        self.rests = False

    @property
    def busy(self) -> bool:
        return self._work is not None

    def state(self, memory: int | None = None) -> PreviewState:
        return PreviewState(
            project_id=self.project.id,
            status=self._status,
            mode=self._choice.mode if self._choice else None,
            driver=self._choice.name if self._choice else None,
            why=self._choice.why if self._choice else "",
            version=self._head.id if self._head else None,
            served_version=self._display.page.version,
            url=self._url(),
            diagnostics=self._outcome.diagnostics,
            message=self._outcome.message,
            seconds=self._seconds,
            memory_bytes=memory,
            protection=self.project.settings.preview.protection,
        )

    def visit(self, *, missed: bool = False, rests: bool = False) -> Visit:
        page = self._display.page
        return Visit(
            project=self.project,
            state=self.state(),
            secret=self._secret,
            manifest=page.manifest,
            upstream=page.upstream,
            maps=self._source_map,
            missed=missed,
            rests=rests,
        )

    def show(self, version: Version) -> None:
        """A version exists. Nothing happens for one that is not newer."""
        self.touch()
        if self._head is None or version.id > self._head.id:
            self._head = version
            self._came.setdefault(version.id, time.monotonic())
            self._status = PreviewStatus.BUILDING
        self._go()

    def begin(self, version_id: str, written: Mapping[str, bytes], removed: Collection[str]) -> None:
        """
        A change is being stored as this version: the builder may have it already, if nothing else is going on. It is shown
        when `show` says that the version exists; otherwise the next version puts right what differs.
        """
        self.touch()
        if self.warm is not None and self._work is None and self._begun is None:
            self._came[version_id] = time.monotonic()
            self._begun = self._maker.begin(self.warm, version_id, written, removed)

    def wake(self, version: Version | None) -> None:
        """Start what is needed to show the newest version, unless that went wrong a moment ago."""
        self.touch()
        if version is not None and (self._head is None or version.id > self._head.id):
            self._head = version
        if time.monotonic() >= self._not_before:
            self._go()

    async def wait(self, version_id: str, seconds: float) -> bool:
        """Until this version, or a newer one, is shown or has failed. False when the time was over before."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._settled < version_id:
                    await self._changed.wait()
        return self._settled >= version_id

    async def wait_for_page(self, seconds: float) -> None:
        """Until there is something to show, or nothing is being made."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._display.page and self._work is not None:
                    await self._changed.wait()

    def serves(self, version_id: str) -> bool:
        return self._display.page.version is not None and self._display.page.version >= version_id

    async def memory(self) -> int:
        warm = self.warm
        return (await warm.memory() or 0) if warm is not None else 0

    async def sleep(self, why: str, message: str = "") -> None:
        """Stop everything. The last good page stays, where it is files."""
        self.rests = why == "asked"
        if self._work is not None:
            work, self._work = self._work, None
            work.cancel()
            await asyncio.wait({work})
        self._anew = False
        if self._begun is not None:
            begun, self._begun = self._begun, None
            begun.task.cancel()
            await begun.outcome()
        warm, self.warm = self.warm, None
        if warm is None and self._status is PreviewStatus.ASLEEP:
            return
        await self._display.rest()
        self._status = PreviewStatus.ASLEEP
        self._facts.say(PreviewAsleep.model_validate({"project_id": self.project.id, "why": why, "message": message}))
        self._notify()
        if warm is not None:
            await self._end(warm)

    def restart(self) -> None:
        """The project's settings changed: what runs is replaced by what they ask for."""
        if self.awake:
            self._anew = True
            self._go()

    # Bringing versions to the page.

    def _go(self) -> None:
        if self._work is None and self._head is not None and self._wanted():
            self._work = asyncio.create_task(self._bring_all(), name=f"preview {self.project.id}")

    def _wanted(self) -> bool:
        """Whether there is something to do: a version that was not tried, a sleeper, or no builder where one belongs."""
        assert self._head is not None  # noqa: S101 - checked by the caller
        if self._anew or self._head.id > self._settled or self._status is PreviewStatus.ASLEEP:
            return True
        needs_builder = self._choice is None or self._choice.driver is not None
        return needs_builder and (self.warm is None or self.warm.ended)

    async def _bring_all(self) -> None:
        me = asyncio.current_task()
        try:
            while self._wanted():
                assert self._head is not None  # noqa: S101 - there is work
                anew, self._anew = self._anew, False
                await self._bring(self._head, None if anew else self.warm)
                if not self._anew and time.monotonic() < self._not_before and self._head.id <= self._settled:
                    break
        finally:
            if self._work is me:
                self._work = None
            self._notify()

    async def _bring(self, version: Version, warm: Warm | None) -> None:
        began = self._came.pop(version.id, time.monotonic())
        self._came = {other: when for other, when in self._came.items() if other > version.id}
        self._status = PreviewStatus.BUILDING
        self._facts.say(PreviewBuilding(project_id=self.project.id, version_id=version.id))
        self._notify()
        made = None
        try:
            if warm is None:
                await self._room()
            if self.warm is None:
                await self._facts.begin_life(self.project.id)
            begun, self._begun = self._begun, None
            made = await self._maker.make(self.project, version, warm, begun)
            outcome = made.outcome
        except StepFailed as failed:
            hint = f" ({failed.failure.hint})" if failed.failure.hint else ""
            outcome = Outcome(ok=False, diagnostics=failed.failure.diagnostics, message=failed.failure.message + hint)
        except HeadraceError as exc:
            outcome = Outcome(ok=False, message=f"{exc.message}" + (f" ({exc.hint})" if exc.hint else ""))
        except Exception:
            _log.exception("a preview broke", project_id=self.project.id)
            outcome = Outcome(ok=False, message="Headrace itself failed; the server's log says why")
        if made is not None:
            await self._take_over(made)
        if not outcome.ok and (self.warm is None or self.warm.ended):
            self._not_before = time.monotonic() + RETRY_SECONDS
        self._settle(version, outcome, made, time.monotonic() - began)

    async def _take_over(self, made: Made) -> None:
        self._choice, old = made.choice, self.warm
        if made.warm is None:
            if made.choice.driver is None and old is not None:
                self.warm = None
                await self._end(old)
            return
        if not made.outcome.ok and old is not None and not old.ended:
            # The page that is up needs its builder. The next change tries a new one again.
            await self._end(made.warm)
            return
        self.warm = made.warm
        self._watch(made.warm)
        if old is not None:
            await self._end(old)

    async def _end(self, warm: Warm) -> None:
        for use in await warm.close():
            self._facts.say(PreviewEgressUsed(project_id=self.project.id, **use.model_dump()))

    def _settle(self, version: Version, outcome: Outcome, made: Made | None, seconds: float) -> None:
        self._settled = max(self._settled, version.id)
        self._outcome = outcome
        self._seconds = round(seconds, 4)
        if outcome.ok and made is not None:
            self._display.show(self._page_for(version, made))
            self._facts.say(
                PreviewReady(project_id=self.project.id, version_id=version.id, seconds=self._seconds, url=self._url())
            )
        else:
            self._say_failed(version, outcome, self._seconds)
        newer = self._head is not None and self._head.id > self._settled
        settled = PreviewStatus.READY if outcome.ok else PreviewStatus.ERROR
        self._status = PreviewStatus.BUILDING if newer else settled
        self._notify()

    def _page_for(self, version: Version, made: Made) -> CurrentPage:
        upstream = self.warm.upstream if self.warm is not None else None
        if upstream is not None:
            return CurrentPage(version.id, upstream=upstream)
        if isinstance(made.shown, Shown):
            return CurrentPage(version.id, made.shown.digest, shown=made.shown)
        if made.shown is not None:
            return CurrentPage(version.id, made.shown)
        return self._display.page.of(version.id)

    def _started(self, choice: Choice) -> None:
        self._choice = choice
        self._facts.say(
            PreviewStarted(project_id=self.project.id, driver=choice.name, mode=choice.mode, why=choice.why)
        )

    def _failed_later(self, warm: Warm, outcome: Outcome) -> None:
        """A visitor asked the development server for a module that is broken, or it mended itself."""
        if warm is not self.warm or self._work is not None or self._head is None:
            return
        self._outcome = outcome
        self._status = PreviewStatus.READY if outcome.ok else PreviewStatus.ERROR
        if not outcome.ok:
            self._say_failed(self._head, outcome, 0)
        self._notify()

    def _say_failed(self, version: Version, outcome: Outcome, seconds: float) -> None:
        self._facts.say(
            PreviewFailed(
                project_id=self.project.id,
                version_id=version.id,
                message=outcome.message or _first(outcome.diagnostics),
                seconds=seconds,
                diagnostics=outcome.diagnostics,
            )
        )

    def _url(self) -> str | None:
        return self._services.public.site(f"{self.project.slug}.preview")

    async def _source_map(self, path: str) -> bytes | None:
        """Of a file of the page: as the build wrote it, or made by the builder, while there is one."""
        written = self._display.page.map(f"{path}.map")
        if written is not None or self.warm is None:
            return written
        return await self.warm.source_map(path)

    def _watch(self, warm: Warm) -> None:
        # Kept, so that nobody collects it while it waits.
        self._watching = asyncio.create_task(self._until_ended(warm))

    async def _until_ended(self, warm: Warm) -> None:
        message = await warm.until_ended()
        if self.warm is warm and self._work is None:
            self._not_before = time.monotonic() + RETRY_SECONDS
            _log.info("the builder of a preview ended", project_id=self.project.id, why=message)
            await self.sleep("died", f"the builder ended: {message}")

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _first(diagnostics: tuple[Diagnostic, ...]) -> str:
    return diagnostics[0].message if diagnostics else "the page could not be made"
