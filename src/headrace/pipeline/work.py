"""Taking builds and keeping them: claim, heartbeat, run, release. The row's lease says who may write."""

import asyncio

import structlog

from headrace.errors import HeadraceError, LeaseLost, found
from headrace.model.build import Build
from headrace.model.job import Lease
from headrace.pipeline.context import Context
from headrace.pipeline.run import run_build
from headrace.pipeline.services import Services
from headrace.records import builds, projects

_log = structlog.get_logger(__name__)

#: How often a worker looks at the wishes and leases of its builds when nobody wakes it.
LOOK_SECONDS = 0.5


class Worker:
    """Works on builds for one process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._running: dict[str, Context] = {}

    @property
    def running(self) -> int:
        return len(self._running)

    def notice_cancel(self, build_id: str) -> None:
        """Somebody wants this build to end: stop it now, if it is ours."""
        if ctx := self._running.get(build_id):
            ctx.cancelled.set()

    async def handle(self, build_id: str) -> None:
        """Take the build and bring it to its end; nothing when it has ended or another worker has it."""
        services = self._services
        if build_id in self._running:
            # The clock jumped, or the database was busy for so long that our own lease ran out: nobody else has the build.
            return
        await services.journal.replay(build_id)
        async with services.db.write() as c:
            lease = await builds.claim(c, build_id, services.worker, services.settings.lease_seconds)
        if lease is None:
            return
        try:
            ctx = await self._context(lease)
            self._running[build_id] = ctx
            await self._run(ctx)
        except LeaseLost:
            _log.warning("another worker has taken the build over", build_id=build_id)
        except HeadraceError as exc:
            _log.warning("the build waits for another attempt", build_id=build_id, error=str(exc))
        finally:
            self._running.pop(build_id, None)
            async with services.db.write() as c:
                await builds.release(c, lease)

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
                raise LeaseLost(f"the lease of {ctx.build.id} was lost")
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
                    async with services.db.write() as c:
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
