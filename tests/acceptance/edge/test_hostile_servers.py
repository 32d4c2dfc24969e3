"""Development servers that misbehave: their visitors get a clear answer, and nothing else suffers."""

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

if TYPE_CHECKING:
    from tests.acceptance.edge.conftest import Place

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"


def says(answer: bytes) -> Any:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(answer)
            await writer.drain()
            if b"Content-Length" not in answer:
                return

    return speak


async def test_internal_headers_and_foreign_cookies_stay_behind(place: "Place", raw: Any) -> None:
    lines = [
        b"X-Accel-Redirect: /etc/passwd",
        b"X-Sendfile: /etc/passwd",
        b"X-Headrace-Version: forged",
        b"X-Headrace-Preview: forged",
        b"Connection: X-Secret, keep-alive",
        b"X-Secret: hop",
        b"Alt-Svc: h2=elsewhere",
        b'Clear-Site-Data: "cookies"',
        b"Proxy-Authenticate: Basic",
        b"Set-Cookie: mine=1; Path=/",
        b"Set-Cookie: wide=1; Domain=preview.localhost",
        b"Set-Cookie: other=1; domain=.shop.localhost",
        b"Set-Cookie: __Host-headrace_x=forged; Secure; Path=/",
        b"Set-Cookie: same=1; Domain=shop.preview.localhost",
        b"X-Kept: yes",
    ]
    place.preview.proxied_to(await raw(says(OK + b"\r\n".join(lines) + b"\r\n\r\nok")))
    async with place.get("/") as reply:
        names = {name.lower() for name in reply.headers}
        assert await reply.text() == "ok"
        assert [cookie.partition("=")[0] for cookie in reply.headers.getall("Set-Cookie")] == ["mine", "same"]
        assert reply.headers.getall("X-Headrace-Preview") == ["ready"]
        assert reply.headers["X-Kept"] == "yes"
    refused = {"x-accel-redirect", "x-sendfile", "x-headrace-version", "x-secret", "alt-svc", "clear-site-data"}
    assert not names & (refused | {"proxy-authenticate"})


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"X-Long: " + b"x" * 10_000_000 + b"\r\n\r\nok",
        OK + b"X-Part: " + b"x" * 8000 + b"\r\n" + (b"X-More: " + b"y" * 8000 + b"\r\n") * 20 + b"\r\nok",
        OK + b"".join(b"X-%d: 1\r\n" % number for number in range(2000)) + b"\r\nok",
        b"this is no HTTP\r\n\r\n",
        b"HTTP/1.1 999 What\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\nConnection: Upgrade\r\n\r\n",
    ],
    ids=["one-long", "together-long", "many", "no-http", "status", "two-lengths", "negative", "upgrade"],
)
async def test_what_is_no_answer_is_502(place: "Place", raw: Any, answer: bytes) -> None:
    place.preview.proxied_to(await raw(says(answer)))
    async with place.get("/") as reply:
        assert (reply.status, (await reply.json(content_type=None))["code"]) == (502, "preview.bad_response")


async def test_a_server_that_closes_without_a_word_is_502(place: "Place", raw: Any) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    place.preview.proxied_to(await raw(speak))
    async with place.get("/") as reply:
        assert (reply.status, (await reply.json(content_type=None))["code"]) == (502, "preview.bad_response")


async def test_nobody_there_is_502_and_people_get_a_page(place: "Place") -> None:
    place.preview.proxied_to(1)
    async with place.get("/", headers={"Accept": "text/html"}) as reply:
        assert (reply.status, reply.content_type) == (502, "text/html")
        assert "preview.unreachable" in await reply.text()


@pytest.mark.parametrize("flood", [False, True])
async def test_a_server_that_never_answers_is_504(impatient: "Place", raw: Any, flood: bool) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while True:
            if flood:
                writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
                await writer.drain()
            await asyncio.sleep(0.001 if flood else 60)

    impatient.preview.proxied_to(await raw(speak))
    async with impatient.get("/") as reply:
        assert (reply.status, (await reply.json(content_type=None))["code"]) == (504, "preview.unreachable")


async def test_hints_before_the_answer_are_left_out(place: "Place", raw: Any) -> None:
    place.preview.proxied_to(await raw(says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 5 + OK + b"\r\nok")))
    async with place.get("/") as reply:
        assert (reply.status, await reply.text()) == (200, "ok")


async def test_a_body_that_breaks_off_is_not_taken_for_whole(place: "Place", raw: Any) -> None:
    place.preview.proxied_to(await raw(says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")))
    with pytest.raises(aiohttp.ClientPayloadError):
        async with place.get("/") as reply:
            await reply.read()


async def test_a_body_without_end_stops_with_its_visitor_and_takes_no_memory(place: "Place", behind: Any) -> None:
    sent, over = 0, asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        stream = web.StreamResponse()
        await stream.prepare(request)
        try:
            while True:
                await stream.write(b"x" * 65536)
                sent += 65536
        except ConnectionError:
            over.set()
            raise
        return stream

    place.preview.proxied_to(await behind(answer))
    async with place.get("/") as reply:
        await reply.content.readexactly(1_000_000)
        await asyncio.sleep(0.5)
        # What is on its way lies in buffers of fixed size: ours, the client's and the kernel's.
        assert sent < 40_000_000
        reply.close()
    async with asyncio.timeout(30):
        await over.wait()


async def test_a_visitor_who_leaves_ends_a_request_that_has_no_answer_yet(place: "Place", raw: Any) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        left.set()

    place.preview.proxied_to(await raw(speak))
    request = asyncio.create_task(place.get("/").__aenter__())
    await asked.wait()
    request.cancel()
    async with asyncio.timeout(30):
        await left.wait()


async def test_a_refused_handshake_has_the_servers_status(place: "Place", behind: Any) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=426)

    place.preview.proxied_to(await behind(answer))
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await place.socket("/")
    assert caught.value.status == 426


async def test_a_websocket_to_nobody_is_502(place: "Place") -> None:
    place.preview.proxied_to(1)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await place.socket("/")
    assert caught.value.status == 502


async def test_a_websocket_whose_server_dies_is_closed(place: "Place", behind: Any) -> None:
    async def answer(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        assert request.transport is not None
        request.transport.abort()
        return ws

    place.preview.proxied_to(await behind(answer))
    async with place.socket("/") as ws:
        closed = await ws.receive()
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1011)


async def test_a_visitor_who_closes_tells_the_server_his_code(place: "Place", behind: Any) -> None:
    codes: asyncio.Queue[int | None] = asyncio.Queue()

    async def answer(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for _ in ws:
            pass
        codes.put_nowait(ws.close_code)
        return ws

    place.preview.proxied_to(await behind(answer))
    async with place.socket("/") as ws:
        await ws.close(code=4001)
    assert await codes.get() == 4001


async def test_a_replaced_server_gets_no_more_requests_and_its_session_goes(place: "Place", behind: Any) -> None:
    async def one(request: web.Request) -> web.Response:
        return web.Response(text="one")

    async def two(request: web.Request) -> web.Response:
        return web.Response(text="two")

    place.preview.proxied_to(await behind(one), 1)
    async with place.get("/") as reply:
        assert await reply.text() == "one"
    place.preview.proxied_to(await behind(two), 2)
    async with place.get("/") as reply:
        assert await reply.text() == "two"
    assert place.upstreams.count == 1


async def test_a_message_that_is_too_large_ends_the_connection(place: "Place", behind: Any) -> None:
    async def answer(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_bytes(b"x" * (17 * 1024 * 1024))
        await ws.receive()
        return ws

    place.preview.proxied_to(await behind(answer))
    async with place.socket("/", max_msg_size=0) as ws:
        closed = await ws.receive()
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1009)
