"""Taking builds and keeping them: claim, heartbeat, run, release. The row's lease says who may write."""

import asyncio
import time
from contextlib import suppress

import structlog

from headrace.errors import Conflict, HeadraceError, LeaseLost, found
from headrace.model.build import Build
from headrace.model.event import BuildWaiting
from headrace.model.job import Lease
from headrace.pipeline.admission import admit, wake
from headrace.pipeline.context import Context
from headrace.pipeline.run import run_build
from headrace.pipeline.services import Services
from headrace.records import builds, line, projects

_log = structlog.get_logger(__name__)

#: How often a worker looks at the wishes and leases of its builds when nobody wakes it.
LOOK_SECONDS = 0.5
#: A build is tried again this long after a passing fault at the earliest.
_REST_SECONDS = 4.0


class Worker:
    """Works on builds for one process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._running: dict[str, Context] = {}
        #: From the lease on. On a busy machine it takes a while from there to a context, and a lease may run out.
        self._taken: set[str] = set()
        #: Builds that a passing fault ended an attempt at, and until when others go before them.
        self._resting: dict[str, float] = {}
        #: Looking whether there is room, and saying that there is none: one after another.
        self._deciding = asyncio.Lock()

    @property
    def running(self) -> int:
        return len(self._running)

    def notice_cancel(self, build_id: str) -> None:
        """Somebody wants this build to end: stop it now, if it is ours."""
        if ctx := self._running.get(build_id):
            ctx.cancelled.set()

    async def handle(self, build_id: str) -> None:
        """
        Somebody says that there is work, such as this build: take builds in the order of the line, and bring them to their end,
        until there are none or no room for the next.
        """
        if build_id not in self._running:
            await self._services.journal.replay(build_id)
        while lease := await self._next():
            await self._work_on(lease)
            await wake(self._services)

    async def _next(self) -> Lease | None:
        async with self._deciding:
            found = await admit(self._services, besides=self._not_now())
            if not isinstance(found, BuildWaiting):
                if found is not None:
                    self._taken.add(found.build_id)
                return found
            async with self._services.db.read() as c:
                build = await builds.get(c, found.build_id)
            if build is not None and build.waits_for is not found.reason:
                with suppress(Conflict):  # it was cancelled meanwhile
                    await self._services.journal.record(found)
            return None

    def _not_now(self) -> set[str]:
        """
        Builds that are not to be taken although their rows say so: those that run here (the clock jumped, or the database was
        busy for so long that our own lease ran out), and those that rest after a fault.
        """
        now = time.monotonic()
        self._resting = {build: until for build, until in self._resting.items() if until > now}
        return {*self._taken, *self._resting}

    async def _work_on(self, lease: Lease) -> None:
        services, build_id = self._services, lease.build_id
        try:
            build = await services.journal.replay(build_id)
            if build is None or build.status.terminal:
                return
            ctx = await self._context(lease)
            self._running[build_id] = ctx
            await self._run(ctx)
        except LeaseLost:
            _log.warning("another worker has taken the build over", build_id=build_id)
            await self._clear_if_ended(build_id)
        except HeadraceError as exc:
            _log.warning("the build waits for another attempt", build_id=build_id, error=str(exc))
            self._resting[build_id] = time.monotonic() + _REST_SECONDS
        finally:
            self._running.pop(build_id, None)
            self._taken.discard(build_id)
            async with services.db.write(durable=False) as c:
                await line.end_turn(c, lease)
                await builds.release(c, lease)

    async def _clear_if_ended(self, build_id: str) -> None:
        """
        What was opened here after the worker that took the build over had ended it, and removed what it saw. Before its end, that
        is still to come.
        """
        ctx, build = self._running.get(build_id), await self._services.journal.replay(build_id)
        if ctx and build and build.status.terminal:
            await ctx.clear()

    async def _context(self, lease: Lease) -> Context:
        services = self._services
        async with services.db.read() as c:
            build = found(await builds.get(c, lease.build_id), lease.build_id)
            project = found(await projects.get(c, build.project_id), build.project_id)
            wish = await builds.cancel_requested(c, [build.id])
        ctx = Context(
            services=services,
            project=project,
            build=build,
            lease=lease,
            executor=services.executor_for(build.options.executor),
        )
        if wish:
            ctx.cancelled.set()
        return ctx

    async def _run(self, ctx: Context) -> Build | None:
        watch = asyncio.create_task(self._watch(ctx))
        work = asyncio.create_task(run_build(ctx))
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                watch.result()
                raise ctx.lost()
            return work.result()
        finally:
            for task in (work, watch):
                task.cancel()
            await asyncio.wait({work, watch})

    async def _watch(self, ctx: Context) -> None:
        """Renew the lease and look for a wish to cancel. Returns when the lease is lost."""
        services, seconds = self._services, self._services.settings.lease_seconds
        due = 0.0
        while True:
            now = asyncio.get_running_loop().time()
            try:
                if now >= due:
                    async with services.db.write(durable=False) as c:
                        if not await builds.renew(c, ctx.lease, seconds):
                            return
                    due = now + seconds / 3
                if not ctx.cancelled.is_set():
                    async with services.db.read() as c:
                        if await builds.cancel_requested(c, [ctx.build.id]):
                            ctx.cancelled.set()
            except HeadraceError as exc:
                # A lease that ran out and that nobody took still holds: what can't be asked now is asked again.
                _log.warning("the lease could not be renewed", build_id=ctx.build.id, error=str(exc))
            await asyncio.sleep(LOOK_SECONDS)
