"""The API over real parts: a database, event files and a store in a directory of the test. No worker runs."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from headrace.api.app import create_app
from headrace.events.file import FileEventLog
from headrace.executor.fake import FakeExecutor
from headrace.journal import Journal
from headrace.layers.layers import Layers
from headrace.pipeline.services import PublicAddress, Services
from headrace.preview.sessions import Previews, open_previews
from headrace.queue.inline import InlineQueue
from headrace.records.database import Database, sqlite_url
from headrace.reserve import Reserve
from headrace.settings import Settings
from headrace.source.archive import ArchiveFetcher
from headrace.store.local import LocalStore

TOKEN = "hr_api_0123456789abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    settings = Settings(data_dir=tmp_path, token=TOKEN, upload_bytes=100_000, executor="fake")
    db = await Database.open(sqlite_url(tmp_path / "headrace.db"))
    events = FileEventLog(tmp_path / "logs")
    executor = FakeExecutor(settings)
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
        sources={"archive": ArchiveFetcher(settings)},
        executor=lambda _: executor,
        worker="w-test",
        public=PublicAddress(port=7700),
    )
    await db.close()


@pytest.fixture
async def previews(services: Services) -> AsyncIterator[Previews]:
    async with open_previews(services) as previews:
        yield previews


@pytest.fixture
async def api(services: Services, previews: Previews) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the token, at the root of the API."""
    transport = httpx2.ASGITransport(app=create_app(services, previews))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost/api/v1", headers=headers) as client:
        yield client
