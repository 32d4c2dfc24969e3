"""Over real sockets with uvicorn: the short way says exactly what the long way says, and both keep connections in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from tests.waiting import until

from headrace.edge.protocol import protocol_for

if TYPE_CHECKING:
    from tests.unit.edge.conftest import Visitor

TEXT = b"export const answer = 42; // the same words again and again\n" * 200
FILES = {"index.html": b"<h1>home</h1>", "app.js": TEXT, "photo.jpg": bytes(range(256)) * 400}


@asynccontextmanager
async def serving(visitor: "Visitor", *, short: bool = True, app: Any = None) -> AsyncIterator[int]:
    """The port of a real server."""
    config = uvicorn.Config(
        app or visitor.edge,
        http=protocol_for(visitor.edge) if short else "httptools",
        port=0,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=1,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def read(self, *, head: bool = False) -> tuple[int, dict[str, str], bytes]:
        start = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in start[1:] if line)
        length = 0 if head else int(headers.get("content-length", 0))
        return int(start[0].split()[1]), headers, await self.reader.readexactly(length)

    async def ask(self, *requests: bytes) -> None:
        self.writer.write(b"".join(requests))
        await self.writer.drain()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


def request(path: str, *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: shop.localhost", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Accept-Encoding: gzip, deflate, br, zstd"],
        ["Accept-Encoding: gzip", "Connection: keep-alive"],
        ["If-None-Match: *"],
        ['If-None-Match: "nothing"'],
        ["Range: bytes=0-9"],
    ],
)
async def test_the_short_way_gives_the_same_answer(visitor: "Visitor", lines: list[str]) -> None:
    await visitor.publish(FILES)
    async with serving(visitor) as short, serving(visitor, short=False) as long:
        for path in ("/", "/app.js", "/photo.jpg?v=1", "/nowhere"):
            answers = []
            for port in (long, short, short):
                async with connected(port) as connection:
                    await connection.ask(request(path, *lines))
                    status, headers, body = await connection.read()
                    assert headers.pop("date")
                    answers.append((status, headers, body))
            assert answers[0] == answers[1] == answers[2]


async def test_a_hot_file_starts_no_application(visitor: "Visitor") -> None:
    await visitor.publish(FILES)
    calls = 0

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        nonlocal calls
        calls += 1
        await visitor.edge(scope, receive, send)

    async with serving(visitor, app=counting) as port, connected(port) as connection:
        for _ in range(5):
            await connection.ask(request("/app.js"))
            assert (await connection.read())[2] == TEXT
    assert calls == 1


async def test_requests_in_one_packet_are_answered_in_their_order(visitor: "Visitor") -> None:
    await visitor.publish({f"{i}.txt": str(i).encode() for i in range(10)})
    order = [0, 1, 2, 0, 3, 1, 4, 5, 0, 6, 7, 8, 9, 9, 0]
    async with serving(visitor) as port, connected(port) as connection:
        for _ in range(3):
            await connection.ask(*(request(f"/{i}.txt") for i in order))
            assert [(await connection.read())[2] for _ in order] == [str(i).encode() for i in order]


async def test_a_short_answer_does_not_overtake_a_long_one(make_visitor: "type[Visitor]") -> None:
    visitor = make_visitor(largest=200_000)
    big = bytes(3_000_000)
    await visitor.publish({"small.txt": b"small", "big.bin": big})
    async with serving(visitor) as port, connected(port) as connection:
        await connection.ask(request("/small.txt"))
        await connection.read()
        await connection.ask(request("/small.txt"), request("/big.bin"), request("/small.txt"))
        assert [len((await connection.read())[2]) for _ in range(3)] == [5, len(big), 5]


async def test_a_slow_download_outlives_the_wait_for_another_request(make_visitor: "type[Visitor]") -> None:
    visitor = make_visitor(largest=1000)
    big = bytes(30_000_000)
    await visitor.publish({"small.txt": b"small", "big.bin": big})
    async with serving(visitor) as port, connected(port) as connection:
        await connection.ask(request("/small.txt"))
        await connection.read()
        await connection.ask(request("/small.txt"), request("/big.bin"))
        await connection.read()
        await asyncio.sleep(1.5)
        assert len((await connection.read())[2]) == len(big)


async def test_a_reader_that_never_reads_holds_little_memory(make_visitor: "type[Visitor]") -> None:
    visitor = make_visitor()
    await visitor.publish({"photo.jpg": bytes(1_000_000)})
    async with serving(visitor) as port, connected(port) as connection:
        for _ in range(3):
            await connection.ask(request("/photo.jpg"))
            await connection.read()
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await connection.ask(*[request("/photo.jpg")] * 500)
        await asyncio.sleep(0.3)
        # The server stopped taking requests; 500 MB would be waiting otherwise.
        connection.writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(500):
            assert len((await connection.read())[2]) == 1_000_000


@pytest.mark.parametrize("lines", [["Connection: close"], ["Connection: close", "Accept-Encoding: br"]])
async def test_a_visitor_can_ask_to_close(visitor: "Visitor", lines: list[str]) -> None:
    await visitor.publish(FILES)
    async with serving(visitor) as port, connected(port) as connection:
        await connection.ask(request("/"), request("/", *lines))
        assert [(await connection.read())[0] for _ in range(2)] == [200, 200]
        assert await connection.reader.read() == b""


async def test_http_1_0_is_answered_and_closed(visitor: "Visitor") -> None:
    await visitor.publish(FILES)
    async with serving(visitor) as port:
        for lines in (b"", b"Connection: keep-alive\r\n"):
            async with connected(port) as connection:
                await connection.ask(request("/"))
                await connection.read()
                await connection.ask(b"GET / HTTP/1.0\r\nHost: shop.localhost\r\n" + lines + b"\r\n")
                status, headers, body = await connection.read()
                assert (status, headers["connection"], body) == (200, "close", FILES["index.html"])
                assert await connection.reader.read() == b""


async def test_an_idle_connection_is_closed_in_time(visitor: "Visitor") -> None:
    await visitor.publish(FILES)
    async with serving(visitor) as port, connected(port) as connection:
        for _ in range(2):
            await connection.ask(request("/"))
            await connection.read()
        assert await asyncio.wait_for(connection.reader.read(), timeout=60) == b""


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET http://shop.localhost/ HTTP/1.1\r\nHost: shop.localhost\r\n\r\n", 200),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: shop.localhost\r\n\r\n", 400),
        (b"GET http://shop.localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: shop.localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0", 400),
        (b"GET / HTTP/1.1\r\nHost: shop.localhost\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: shop.localhost\r\n\r\n", 400),
        (b"GET //evil.example/ HTTP/1.1\r\nHost: shop.localhost\r\n\r\n", 404),
        (b"GET /../etc/passwd HTTP/1.1\r\nHost: shop.localhost\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 2\r\n\r\nhi", 405),
        (b"HEAD /app.js HTTP/1.1\r\nHost: shop.localhost\r\n\r\n", 200),
    ],
)
async def test_odd_requests_get_a_clear_answer(visitor: "Visitor", raw: bytes, status: int) -> None:
    await visitor.publish(FILES)
    async with serving(visitor) as port:
        async with connected(port) as connection:
            await connection.ask(request("/"))
            await connection.read()
            await connection.ask(raw)
            assert (await connection.read(head=raw.startswith(b"HEAD")))[0] == status
        async with connected(port) as connection:
            await connection.ask(request("/"))
            assert (await connection.read())[0] == 200


async def test_a_header_may_not_smuggle_another(visitor: "Visitor") -> None:
    await visitor.publish(FILES, redirects=[{"path": "/go/:x", "to": "/:x"}])
    async with serving(visitor) as port, connected(port) as connection:
        await connection.ask(request("/go/a%0d%0aSet-Cookie:%20a=b"))
        status, headers, _ = await connection.read()
        assert (status, "set-cookie" in headers) == (400, False)


async def test_a_visitor_who_leaves_frees_the_file(make_visitor: "type[Visitor]") -> None:
    visitor = make_visitor(largest=1000)
    await visitor.publish({"big.bin": bytes(50_000_000)})
    async with serving(visitor) as port:
        async with connected(port) as connection:
            await connection.ask(request("/big.bin"))
            await connection.reader.readexactly(1000)
        await until(lambda: not any("run_asgi" in repr(task) for task in asyncio.all_tasks()))
