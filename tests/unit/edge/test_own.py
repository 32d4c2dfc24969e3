"""Headrace's own paths on a preview's origin, as browsers and others ask for them."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from headrace.edge.own import Own
from headrace.edge.upstreams import Upstreams
from headrace.events.memory import MemoryEventLog
from headrace.model.preview import PreviewBuilding, PreviewEvent, PreviewReady, PreviewState, PreviewStatus
from headrace.model.project import Project
from headrace.preview.visit import Visit

PROJECT = Project(id="prj_1", workspace="default", name="Shop", slug="shop", created_at="")
HOST = (b"host", b"shop.preview.localhost:8080")
OWN = ((b"origin", b"http://shop.preview.localhost:8080"), (b"sec-fetch-site", b"same-origin"))
REPORT = {"type": "console", "level": "log", "text": "hello"}
BODY = json.dumps({"version": 1, "reports": [REPORT]}).encode()


class Shown:
    """A preview that stands as it is told to."""

    def __init__(self, events: MemoryEventLog) -> None:
        self.events = events
        self.there = True
        self.state = PreviewState(project_id=PROJECT.id, status=PreviewStatus.BUILDING, version="ver_1")

    def now(self) -> Visit:
        return Visit(project=PROJECT, state=self.state, secret=b"s" * 32)

    async def look(self, slug: str) -> Visit | None:
        return self.now() if self.there else None

    async def visit(
        self, slug: str, *, min_version: str | None = None, seconds: float = 30.0, of_open_page: bool = False
    ) -> Visit | None:
        return self.now()

    def log(self, project_id: str) -> str:
        return project_id

    async def record(self, event: PreviewEvent) -> None:
        await self.events.append(event.project_id, [event])

    async def becomes(self, status: PreviewStatus, version: str, event: PreviewEvent) -> None:
        self.state = self.state.but(status=status, version=version, served_version=version)
        await self.record(event)


class Asked:
    """One request, which stays until it is left."""

    def __init__(self, body: Sequence[bytes] = (b"",)) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.left = asyncio.Event()
        self._parts = list(body)

    async def receive(self) -> dict[str, Any]:
        if self._parts:
            part = self._parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self._parts)}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        self.body += message.get("body", b"")

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(30):
            while text not in self.body:
                await asyncio.sleep(0.005)


@pytest.fixture
def shown() -> Shown:
    return Shown(MemoryEventLog())


@pytest.fixture
def own(shown: Shown) -> Own:
    return Own(shown.events, Upstreams(), ("example.com",))


def scope(path: str, *headers: tuple[bytes, bytes], method: str = "GET") -> dict[str, Any]:
    return {
        "type": "http",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [HOST, *headers],
    }


async def ask(own: Own, shown: Shown, path: str, *headers: tuple[bytes, bytes], **more: Any) -> Asked:
    asked = Asked(more.pop("body", (b"",)))
    await own(shown.now(), shown, scope(path, *headers, **more), asked.receive, asked.send)
    return asked


async def told(shown: Shown) -> list[dict[str, Any]]:
    lines = b"".join([piece async for piece in shown.events.read_bytes(PROJECT.id)]).splitlines()
    return [orjson.loads(line) for line in lines]


async def test_the_script_knows_which_pages_may_hear_it(own: Own, shown: Shown) -> None:
    script = await ask(own, shown, "/.headrace/page.js")
    assert script.headers[b"content-type"] == b"text/javascript; charset=utf-8"
    configuration = orjson.loads(script.body.partition(b"const config = ")[2].partition(b";\n")[0])
    hosts = ["127.0.0.1", "[::1]", "example.com", "localhost"]
    assert configuration == {"origins": [f"http://{host}:8080" for host in hosts], "reload": True}

    again = await ask(own, shown, "/.headrace/page.js", (b"if-none-match", script.headers[b"etag"]))
    assert (again.status, again.body) == (304, b"")


async def test_a_report_of_the_page_becomes_an_event(own: Own, shown: Shown) -> None:
    answer = await ask(own, shown, "/.headrace/console", *OWN, method="POST", body=[BODY[:10], BODY[10:]])
    assert (answer.status, answer.body) == (204, b"")
    assert [(event["type"], event["text"]) for event in await told(shown)] == [("preview.console", "hello")]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"origin", b"http://evil.example")],
        [(b"origin", b"http://other.preview.localhost:8080")],
        [(b"origin", b"null")],
        [(b"sec-fetch-site", b"same-site")],
        [(b"sec-fetch-site", b"cross-site")],
        [OWN[0], (b"sec-fetch-site", b"cross-site")],
    ],
)
async def test_other_pages_can_not_report(own: Own, shown: Shown, headers: list[tuple[bytes, bytes]]) -> None:
    answer = await ask(own, shown, "/.headrace/console", *headers, method="POST", body=[BODY])
    assert (answer.status, orjson.loads(answer.body)["code"]) == (403, "report.foreign")
    assert await told(shown) == []


async def test_a_body_that_is_too_large_or_no_report_is_refused(own: Own, shown: Shown) -> None:
    large = await ask(own, shown, "/.headrace/console", *OWN, method="POST", body=[b" " * 40_000] * 2)
    assert (large.status, orjson.loads(large.body)["code"]) == (413, "body.too_large")
    other = await ask(own, shown, "/.headrace/console", *OWN, method="POST", body=[b"{}"])
    assert (other.status, orjson.loads(other.body)["code"]) == (422, "report.invalid")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/.headrace/console", 405),
        ("POST", "/.headrace/page.js", 405),
        ("DELETE", "/.headrace/events", 405),
        ("GET", "/.headrace/", 404),
        ("GET", "/.headrace/page.js/", 404),
        ("GET", "/.headrace/view.js", 404),
        ("GET", "/.headrace/../page.js", 404),
    ],
)
async def test_there_is_nothing_else(own: Own, shown: Shown, method: str, path: str, status: int) -> None:
    assert (await ask(own, shown, path, *OWN, method=method)).status == status


async def test_pages_hear_what_is_shown_and_nothing_more(own: Own, shown: Shown) -> None:
    asked = Asked()
    stream = asyncio.create_task(own(shown.now(), shown, scope("/.headrace/events"), asked.receive, asked.send))
    await asked.until(b'data: {"status":"building","version":"ver_1"}\n\n')
    await shown.record(PreviewBuilding(project_id=PROJECT.id, version_id="ver_2"))
    ready = PreviewReady(project_id=PROJECT.id, version_id="ver_2", seconds=0.1)
    await shown.becomes(PreviewStatus.READY, "ver_2", ready)
    await asked.until(b'event: state\ndata: {"status":"ready","version":"ver_2"}\n\n')
    assert asked.body.count(b"data:") == 2
    asked.left.set()
    await asyncio.wait_for(stream, 30)


async def test_streams_end_when_the_server_stops(own: Own, shown: Shown) -> None:
    asked = [Asked() for _ in range(20)]
    streams = [
        asyncio.create_task(own(shown.now(), shown, scope("/.headrace/events"), one.receive, one.send)) for one in asked
    ]
    for one in asked:
        await one.until(b"data:")
    own.close()
    await asyncio.wait_for(asyncio.gather(*streams), 30)
    late = Asked()
    await own(shown.now(), shown, scope("/.headrace/events"), late.receive, late.send)
    assert late.body == b""


async def test_a_stream_ends_with_its_project(own: Own, shown: Shown) -> None:
    asked = Asked()
    stream = asyncio.create_task(own(shown.now(), shown, scope("/.headrace/events"), asked.receive, asked.send))
    await asked.until(b"data:")
    shown.there = False
    await shown.record(PreviewBuilding(project_id=PROJECT.id, version_id="ver_2"))
    await asyncio.wait_for(stream, 30)


async def test_one_project_can_not_use_up_the_connections(own: Own, shown: Shown) -> None:
    asked = [Asked() for _ in range(100)]
    streams = [
        asyncio.create_task(own(shown.now(), shown, scope("/.headrace/events"), one.receive, one.send)) for one in asked
    ]
    await asked[-1].until(b"retry:")
    assert (await ask(own, shown, "/.headrace/events")).status == 503
    for one in asked:
        one.left.set()
    await asyncio.gather(*streams)
    assert (await ask(own, shown, "/.headrace/events", method="HEAD")).status == 200
