"""After a crash: builds that nobody works on are taken up, and what no build needs is removed."""

import asyncio

import structlog

from headrace.disk import remove_tree
from headrace.errors import HeadraceError
from headrace.pipeline.admission import wake
from headrace.pipeline.context import SANDBOXED, preview_sandboxes, sandbox_name
from headrace.pipeline.liveness import is_dead, seen
from headrace.pipeline.services import Services
from headrace.records import builds

_log = structlog.get_logger(__name__)

#: A build whose worker died is taken up within this time, plus the lease when the worker was of another machine.
EVERY_SECONDS = 5.0


async def keep_recovering(services: Services) -> None:
    """Recover until cancelled."""
    while True:
        try:
            await asyncio.to_thread(services.reserve.hold)
            await recover(services)
        except HeadraceError as exc:  # a locked database now may answer in five seconds
            _log.warning("recovery will be tried again", error=str(exc))
        except Exception:  # without recovery no build would ever be taken up again
            _log.exception("recovery will be tried again")
        await asyncio.sleep(EVERY_SECONDS)


async def sweep(services: Services) -> None:
    """Remove sandboxes and scratch directories of builds that have ended."""
    executor = services.executor(services.settings.executor)
    scratch = services.settings.data_dir / "builds"
    # Looked for before the rows are read: what another process makes meanwhile is not taken for a left-over.
    sandboxes = await executor.existing()
    directories = list(scratch.iterdir()) if scratch.is_dir() else []
    unfinished = await _unfinished(services)
    for left in [path for path in directories if path.name not in unfinished]:
        await asyncio.to_thread(remove_tree, left)
    keep = {sandbox_name(build, step) for build in unfinished for step in SANDBOXED}
    workers = services.settings.data_dir / "workers"
    living = tuple(preview_sandboxes(worker) for worker in seen(workers) if not is_dead(workers, worker))
    for name in sandboxes:
        if name not in keep and not name.startswith(living):
            _log.info("a sandbox is removed that nobody needs", sandbox=name)
            try:
                await executor.discard(name)
            except (HeadraceError, OSError) as exc:  # somebody else's, or a disk that is broken: no reason not to start
                _log.warning("a sandbox could not be removed", sandbox=name, error=str(exc))
    for kind in (services.layers, services.trees, services.tools):
        await asyncio.to_thread(kind.sweep)


async def _unfinished(services: Services) -> set[str]:
    """
    Ids of builds that have not ended by their *logs*. A worker that died between its last fact and the row that says it
    leaves a row behind: nobody will work on that build again, so its left-overs go now or never.
    """
    async with services.db.read() as c:
        behind = await builds.unfinished(c)
    rows = [await services.journal.replay(build.id) for build in behind]
    return {build.id for build in rows if build is not None and not build.status.terminal}


async def recover(services: Services) -> int:
    """
    Wake workers for builds that nobody works on. How many were woken.

    A build whose worker died is taken over at once when the worker was of this machine, otherwise when its lease ends.
    """
    directory = services.settings.data_dir / "workers"
    async with services.db.read() as c:
        known = await builds.workers(c)
    dead = [worker for worker in (known | seen(directory)) - {services.worker} if is_dead(directory, worker)]
    for worker in dead:
        async with services.db.write(durable=False) as c:
            freed = await builds.expire(c, worker)
        _log.info("a worker has died", worker=worker, builds=freed)
    if dead:
        # It may have died when its build had ended and the sandboxes had not.
        await sweep(services)
    return await wake(services)
