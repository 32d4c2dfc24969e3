"""
The OpenAPI document is true to what is served: a fuzzer that believes it finds nothing.

The API runs as a server over real parts; no worker takes its builds, so that only requests decide what happens.
"""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, settings

from headrace.api.app import create_app
from headrace.api.uploads import MEDIA_TYPES
from headrace.events.file import FileEventLog
from headrace.journal import Journal
from headrace.layers.layers import Layers
from headrace.pipeline.services import PublicAddress, Services
from headrace.queue.inline import InlineQueue
from headrace.records.database import Database, sqlite_url
from headrace.settings import Settings
from headrace.source.archive import ArchiveFetcher
from headrace.store.local import LocalStore

TOKEN = "hr_api_0123456789abcdefghijklmnopqrstuvwxyz"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}

#: Rules beyond JSON Schema decide about their bodies: reserved names, the operator's limits, what an archive holds.
SEMANTIC = ("create_project", "change_project", "upload", "ask_for_build", "ask_for_config_build", "build_events")

ACCEPTANCE: list[Any] = [schemathesis.checks.CHECKS.get_one("positive_data_acceptance")]

_BOUNDED = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@schemathesis.serializer(*MEDIA_TYPES)
def _archive(_context: object, value: object) -> dict[str, object]:
    return {"data": value if isinstance(value, bytes) else str(value).encode()}


@dataclass(frozen=True)
class NoExecutor:
    name: ClassVar[str] = "none"
    isolated: ClassVar[bool] = True
    base_system: str = "none"


async def _serve(root: Path, started: "threading.Event", found: dict[str, Any]) -> None:
    given = Settings(data_dir=root, token=TOKEN, upload_bytes=100_000)
    db = await Database.open(sqlite_url(root / "headrace.db"))
    events = FileEventLog(root / "logs")
    executor: Any = NoExecutor()
    services = Services(
        settings=given,
        db=db,
        journal=Journal(db, events),
        events=events,
        store=LocalStore(root / "blobs"),
        layers=Layers(root / "layers"),
        trees=Layers(root / "trees"),
        tools=Layers(root / "tools"),
        queue=InlineQueue(1),
        sources={"archive": ArchiveFetcher(given)},
        executor=lambda _: executor,
        worker="w-test",
        base_system="none",
        public=PublicAddress(port=7700),
    )
    server = uvicorn.Server(uvicorn.Config(create_app(services), port=0, log_config=None, timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    found.update(server=server, port=server.servers[0].sockets[0].getsockname()[1])
    started.set()
    await serving
    await db.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    started, found = threading.Event(), dict[str, Any]()
    root = tmp_path_factory.mktemp("server")
    thread = threading.Thread(target=lambda: asyncio.run(_serve(root, started, found)))
    thread.start()
    assert started.wait(30)
    yield f"http://127.0.0.1:{found['port']}"
    found["server"].should_exit = True
    thread.join(30)


@pytest.fixture(scope="module")
def document(url: str) -> schemathesis.BaseSchema:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    # A NUL is refused wherever it stands, which JSON Schema has no word for.
    schema.config.generation.update(allow_x00=False)
    return schema


schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()
@settings(_BOUNDED, max_examples=12)
def test_every_answer_is_one_that_the_document_names(case: "schemathesis.Case[Any]") -> None:
    semantic = case.operation.definition.raw.get("operationId") in SEMANTIC
    case.call_and_validate(headers=HEADERS, excluded_checks=ACCEPTANCE if semantic else [], timeout=10)


def test_following_links_from_answer_to_answer_finds_nothing_wrong(document: schemathesis.BaseSchema) -> None:
    class Flow(document.as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case: "schemathesis.Case[Any]") -> dict[str, Any]:
            return {"headers": HEADERS, "timeout": 10}

        def validate_response(self, response: Any, case: "schemathesis.Case[Any]", **kwargs: Any) -> None:
            case.validate_response(response, headers=HEADERS, excluded_checks=ACCEPTANCE)

    Flow.run(settings=settings(_BOUNDED, max_examples=10, stateful_step_count=6))


def test_the_document_has_every_event_and_both_forms_of_a_stream(url: str) -> None:
    document = httpx2.get(f"{url}/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert document["openapi"].startswith("3.1")
    kinds = set(schemas["Event"]["discriminator"]["mapping"])
    assert {"build.created", "build.log", "build.diagnostic", "cache.decision", "build.completed"} <= kinds
    stream = document["paths"]["/api/v1/builds/{build_id}/events"]["get"]["responses"]["200"]["content"]
    assert set(stream) == {"application/x-ndjson", "text/event-stream"}


def test_every_reference_of_the_document_leads_somewhere(url: str) -> None:
    document = httpx2.get(f"{url}/openapi.json").json()
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert _references(document) <= known


def _references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_references(item) for item in value.values()))
    return set().union(*(_references(item) for item in value)) if isinstance(value, list) else set()
