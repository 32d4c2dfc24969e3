"""Syncs over real parts: a database and a store in a directory of the test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headrace.events.memory import MemoryEventLog
from headrace.executor.fake import FakeExecutor
from headrace.journal import Journal
from headrace.layers.layers import Layers
from headrace.model.ids import new_id
from headrace.model.project import Project
from headrace.pipeline.services import Services
from headrace.queue.inline import InlineQueue
from headrace.records import projects
from headrace.records.database import Database, sqlite_url
from headrace.reserve import Reserve
from headrace.settings import Settings
from headrace.store.local import LocalStore
from headrace.sync.recent import RecentTrees


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    settings = Settings(data_dir=tmp_path, upload_bytes=2_000_000, upload_files=1000, executor="fake")
    db = await Database.open(sqlite_url(tmp_path / "headrace.db"))
    executor = FakeExecutor(settings)
    events = MemoryEventLog()
    yield Services(
        settings=settings,
        reserve=Reserve(tmp_path),
        db=db,
        journal=Journal(db, events),
        events=events,
        store=LocalStore(tmp_path / "blobs"),
        layers=Layers(tmp_path / "layers"),
        trees=Layers(tmp_path / "trees"),
        tools=Layers(tmp_path / "tools"),
        queue=InlineQueue(1),
        sources={},
        executor=lambda _: executor,
        worker="w-test",
    )
    await db.close()


@pytest.fixture
async def project(services: Services) -> Project:
    made = Project(id=new_id("prj"), workspace="default", name="Shop", slug="shop", created_at="")
    async with services.db.write() as c:
        await projects.insert(c, made)
    return made


@pytest.fixture
def recent(services: Services) -> RecentTrees:
    return RecentTrees(services.store)
