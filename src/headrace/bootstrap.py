"""The composition root: settings in, wired services out. The only place that decides which implementation is used."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from ulid import ULID

from headrace.collect import keep_collecting
from headrace.disk import spread_directories
from headrace.executor.base import Executor
from headrace.journal import Journal
from headrace.layers.layers import Layers
from headrace.pipeline.liveness import alive
from headrace.pipeline.recover import keep_recovering, sweep
from headrace.pipeline.services import PublicAddress, Services
from headrace.pipeline.work import Worker
from headrace.queue.inline import InlineQueue
from headrace.records.database import Database, sqlite_url
from headrace.registry import find, names
from headrace.reserve import Reserve
from headrace.settings import Settings

#: Directories whose entries are removed again soon.
_COME_AND_GO = ("builds", "uploads")


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """
    Everything wired and open. Several processes may have the same data directory open at the same time.

    Raises InvalidSetting or another HeadraceError that says what to do when something can't be opened.
    """
    root = settings.data_dir
    await asyncio.to_thread(_make_directories, root)
    worker = f"w-{os.getpid()}-{str(ULID()).lower()[-8:]}"
    events = find("events", "file")(root / "logs")
    db = await Database.open(sqlite_url(root / "headrace.db"))
    try:
        async with alive(root / "workers", worker):
            yield _wire(settings, root, worker, events, db)
    finally:
        await db.close()


def _make_directories(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in _COME_AND_GO:
        (root / name).mkdir(exist_ok=True)
        spread_directories(root / name)


def _wire(settings: Settings, root: Path, worker: str, events: object, db: Database) -> Services:
    @cache
    def executor(name: str) -> Executor:
        opened: Executor = find("executor", name)(settings)
        return opened

    reserve = Reserve(root)
    return Services(
        settings=settings,
        reserve=reserve,
        db=db,
        journal=Journal(db, events, before_writing=reserve.use),  # type: ignore[arg-type]  # found by name: the contract suite is its type check
        events=events,  # type: ignore[arg-type]
        store=find("store", "local")(root / "blobs"),
        layers=Layers(root / "layers"),
        trees=Layers(root / "trees"),
        tools=Layers(root / "tools"),
        queue=InlineQueue(settings.builds_at_once),
        sources={name: find("source", name)(settings) for name in names("source")},
        executor=executor,
        worker=worker,
        public=PublicAddress(domain=settings.sites_domain),
    )


@asynccontextmanager
async def working(services: Services) -> AsyncIterator[Worker]:
    """Embedded workers, as long as this is open. Builds that run when it closes are left to a successor."""
    worker = Worker(services)
    queue = services.queue
    if isinstance(queue, InlineQueue):
        queue.on_cancel = worker.notice_cancel
    await sweep(services)
    tasks = [
        asyncio.create_task(queue.work(worker.handle), name="workers"),
        asyncio.create_task(keep_recovering(services), name="recovery"),
        asyncio.create_task(keep_collecting(services), name="collection"),
    ]
    try:
        yield worker
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
