"""Streams as a client sees them: over a real server on a loopback socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.waiting import until

from headrace.api.streams import Streams, server_sent
from headrace.errors import InvalidCursor
from headrace.events.file import FileEventLog
from headrace.model.build import BuildStatus
from headrace.model.event import BuildCompleted, BuildQueued, Log
from headrace.model.plan import StepId

BUILD = "build_01m7xxxxxxxxxxxxxxxxxxxxxx"


def line(text: str) -> Log:
    return Log(build_id=BUILD, step=StepId.BUILD, stream="stdout", line=text)


def end() -> BuildCompleted:
    return BuildCompleted(build_id=BUILD, status=BuildStatus.SUCCEEDED, seconds=1.0)


class Server:
    """Serves one log's streams; knows how to speak HTTP/1.1 by hand, so that nothing is hidden by a client library."""

    def __init__(self, events: FileEventLog, streams: Streams, port: int) -> None:
        self.events = events
        self.streams = streams
        self._port = port

    async def open(self, path: str = "/", **headers: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n".encode())
        return reader, writer

    async def get(self, path: str = "/", **headers: str) -> tuple[bytes, bytes]:
        """Head and unchunked body of a whole answer."""
        reader, writer = await self.open(path, **headers)
        head, _, body = (await asyncio.wait_for(reader.read(), 30)).partition(b"\r\n\r\n")
        writer.close()
        return head, unchunked(body) if b"chunked" in head else body


def unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        if int(size, 16) == 0:
            assert body == b"\r\n"
            return whole
        whole, body = whole + body[: int(size, 16)], body[int(size, 16) + 2 :]
    raise AssertionError("the answer was cut off")


@asynccontextmanager
async def serving(directory: Path, *, ping_seconds: float = 15) -> AsyncIterator[Server]:
    events = FileEventLog(directory)
    streams = Streams(events, ping_seconds=ping_seconds)

    async def show(request: Request) -> Response:
        try:
            return await streams.respond(request, BUILD, follow="follow" in request.query_params)
        except InvalidCursor as exc:
            return JSONResponse({"code": exc.exact_code}, exc.http_status)

    server = uvicorn.Server(uvicorn.Config(Starlette(routes=[Route("/", show)]), port=0, log_config=None))
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield Server(events, streams, server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 30)


def numbers(body: bytes) -> list[int]:
    return [orjson.loads(record)["seq"] for record in body.splitlines()]


async def test_ndjson_is_the_default_and_is_not_buffered_or_kept(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.events.append(BUILD, [BuildQueued(build_id=BUILD), line("one"), end()], close=True)
        head, body = await server.get("/")
    assert b"content-type: application/x-ndjson" in head
    assert b"x-accel-buffering: no" in head
    assert b"cache-control: no-store" in head
    assert numbers(body) == [1, 2, 3]


async def test_server_sent_events_carry_number_type_and_the_stored_line_and_say_when_it_is_over(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.events.append(BUILD, [BuildQueued(build_id=BUILD), line("100 %"), end()], close=True)
        head, body = await server.get("/?follow", accept="text/event-stream")
        _, stored = await server.get("/")
    retry, *events, over, rest = body.split(b"\n\n")
    assert b"content-type: text/event-stream" in head
    assert retry.startswith(b"retry: ")
    assert (over, rest) == (b"event: end\ndata: {}", b"")
    records = stored.splitlines()
    assert events == [
        b"id: 1\nevent: build.queued\ndata: " + records[0],
        b"id: 2\nevent: build.log\ndata: " + records[1],
        b"id: 3\nevent: build.completed\ndata: " + records[2],
    ]


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/?after=2", {}, [3, 4]),
        ("/?last_event_id=3", {}, [4]),
        ("/?after=0", {"last_event_id": "3"}, [4]),
        ("/", {"last_event_id": ""}, [1, 2, 3, 4]),
        ("/?after=4", {}, []),
    ],
)
async def test_a_stream_goes_on_where_the_client_was(
    tmp_path: Path, path: str, headers: dict[str, str], expected: list[int]
) -> None:
    async with serving(tmp_path) as server:
        await server.events.append(BUILD, [line("1"), line("2"), line("3"), end()], close=True)
        assert numbers((await server.get(path, **headers))[1]) == expected


@pytest.mark.parametrize("place", ["garbage", "-1", "1.5", "5", "9" * 400, "%00", "1%0a"])
async def test_a_place_that_the_log_does_not_have_is_refused(tmp_path: Path, place: str) -> None:
    async with serving(tmp_path) as server:
        await server.events.append(BUILD, [line("1"), end()], close=True)
        head, body = await server.get(f"/?after={place}")
    assert head.startswith(b"HTTP/1.1 400")
    assert orjson.loads(body) == {"code": "stream.cursor_invalid"}


async def test_a_follower_gets_events_as_they_come_and_pings_when_it_is_quiet(tmp_path: Path) -> None:
    async with serving(tmp_path, ping_seconds=0.05) as server:
        reader, writer = await server.open("/?follow", accept="text/event-stream")
        await asyncio.wait_for(reader.readuntil(b": ping\n\n"), 30)
        await server.events.append(BUILD, [line("now")])
        assert b"event: build.log" in await asyncio.wait_for(reader.readuntil(b'"line":"now"'), 30)
        await asyncio.wait_for(reader.readuntil(b": ping\n\n"), 30)
        await server.events.append(BUILD, [end()], close=True)
        assert (await asyncio.wait_for(reader.read(), 30)).endswith(b"event: end\ndata: {}\n\n\r\n0\r\n\r\n")
        writer.close()


async def test_nothing_is_left_of_a_stream_whose_client_went_away(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        before = len(asyncio.all_tasks())
        clients = [await server.open("/?follow") for _ in range(20)]
        await until(lambda: len(server.streams) == 20)
        for _, writer in clients:
            writer.close()
        await until(lambda: not len(server.streams) and len(asyncio.all_tasks()) <= before)


async def test_streams_end_whole_when_the_server_stops(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.events.append(BUILD, [line("one")])
        following = [await server.open("/?follow", accept=form) for form in ("*/*", "text/event-stream")]
        seen = [await asyncio.wait_for(reader.readuntil(b"}"), 30) for reader, _ in following]
        server.streams.close()
        rest = [await asyncio.wait_for(reader.read(), 30) for reader, _ in following]
        late = numbers((await server.get("/?follow"))[1])
        for _, writer in following:
            writer.close()
    ndjson, sse = (begun + ended for begun, ended in zip(seen, rest, strict=True))
    assert numbers(unchunked(ndjson.partition(b"\r\n\r\n")[2])) == [1]
    assert b"id: 1\n" in sse
    assert b"event: end" not in sse  # it has not ended: the client is to come back
    assert late in ([], [1])


async def test_a_client_that_reads_nothing_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        stalled = [await server.open("/?follow") for _ in range(5)]
        await server.events.append(BUILD, [line("x" * 60_000) for _ in range(300)])
        following = asyncio.create_task(server.get("/?follow"))
        await server.events.append(BUILD, [end()], close=True)
        assert numbers((await following)[1]) == list(range(1, 302))
        for _, writer in stalled:
            writer.close()


def test_the_two_ways_to_frame_lines_agree() -> None:
    record = b'{"seq":%d,"ts":"2026-11-20T21:00:00.123Z","type":"build.log","build_id":"b","line":"50 %% \\"type\\""}\n'
    other = record.replace(b"build.log", b"build.queued", 1)
    logs = b"".join(record % seq for seq in range(9, 12))
    mixed = logs + other % 12
    assert server_sent(mixed).startswith(server_sent(logs))
    assert server_sent(other % 12) == b"id: 12\nevent: build.queued\ndata: " + other % 12 + b"\n"
