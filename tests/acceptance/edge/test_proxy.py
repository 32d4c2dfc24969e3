"""Requests to a development server, through the edge on real sockets."""

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from tests.acceptance.edge.conftest import Place

BROWSER = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}


async def test_a_module_comes_as_the_server_sends_it(place: "Place", behind: Any) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.method} {request.raw_path}", headers={"ETag": '"1"', "X-Own": "kept"})

    place.preview.proxied_to(await behind(answer))
    version = place.preview.serves("ver_1")
    async with place.get("/src/a%20b.ts?t=1&x=%2F") as reply:
        assert (reply.status, await reply.text()) == (200, "GET /src/a%20b.ts?t=1&x=%2F")
        assert (reply.headers["ETag"], reply.headers["X-Own"]) == ('"1"', "kept")
        assert reply.headers["X-Headrace-Version"] == version
        assert reply.headers["X-Headrace-Preview"] == "ready"


async def test_the_server_hears_the_visitors_host_and_who_forwards(place: "Place", behind: Any) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response([*request.headers.items()])

    place.preview.proxied_to(await behind(answer))
    sent = {
        "Cookie": "a=1; __Host-headrace_prj_1=secret; b=2; headrace_x=secret",
        "Connection": "X-Hop",
        "X-Hop": "1",
        "X-Forwarded-For": "10.0.0.1",
        "X-Headrace-Version": "forged",
        "Authorization": "Bearer hr_api_of_the_tests",
    }
    async with place.get("/", headers=sent) as reply:
        heard = {name.lower(): value for name, value in await reply.json()}
    assert heard["host"] == place.host == heard["x-forwarded-host"]
    assert heard["x-forwarded-for"] == "127.0.0.1"
    assert heard["cookie"] == "a=1; b=2"
    assert not heard.keys() & {"x-hop", "x-headrace-version", "authorization"}


async def test_a_server_with_a_name_of_its_own_is_called_by_it(place: "Place", behind: Any) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response([*request.headers.items()])

    place.preview.proxied_to(await behind(answer), host="localhost:4173")
    for origin, seen in ((f"http://{place.host}", "http://localhost:4173"), ("null", "null")):
        async with place.get("/", headers={"Origin": origin}) as reply:
            heard = {name.lower(): value for name, value in await reply.json()}
        assert (heard["host"], heard["origin"]) == ("localhost:4173", seen)
        assert heard["x-forwarded-host"] == place.host


async def test_a_tenants_own_authorization_reaches_it(place: "Place", behind: Any) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=request.headers.get("Authorization", "none"))

    place.preview.proxied_to(await behind(answer))
    async with place.get("/", headers={"Authorization": "Basic eDp5"}) as reply:
        assert await reply.text() == "Basic eDp5"


async def test_uploads_stream_and_come_whole(place: "Place", behind: Any) -> None:
    async def answer(request: web.Request) -> web.Response:
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
        return web.Response(text=str(size))

    place.preview.proxied_to(await behind(answer))

    async def body() -> Any:
        for _ in range(200):
            yield b"x" * 10_000

    async with place.request("POST", "/upload", data=body()) as reply:
        assert await reply.text() == "2000000"
    async with place.request("POST", "/upload", data=b"y" * 70_000) as reply:
        assert await reply.text() == "70000"


async def test_pages_get_the_script_and_their_right_length(place: "Place", behind: Any) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Accept-Encoding"] == "identity"
        assert "If-None-Match" not in request.headers
        page = "<!doctype html><html><head></head><body>hi</body></html>"
        return web.Response(text=page, content_type="text/html", headers={"ETag": '"1"'})

    place.preview.proxied_to(await behind(answer))
    sent = {**BROWSER, "If-None-Match": '"1"', "Accept-Encoding": "gzip, br"}
    async with place.get("/", headers=sent) as reply:
        page = await reply.read()
        assert b'<head><script src="/.headrace/page.js"' in page
        assert "ETag" not in reply.headers
        assert int(reply.headers.get("Content-Length", len(page))) == len(page)


async def test_what_is_no_navigation_is_left_alone(place: "Place", behind: Any) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="<html><head></head></html>", content_type="text/html")

    place.preview.proxied_to(await behind(answer))
    async with place.get("/", headers={"Accept": "text/html", "Sec-Fetch-Mode": "cors"}) as reply:
        assert await reply.text() == "<html><head></head></html>"


async def test_events_come_as_they_are_sent(place: "Place", behind: Any) -> None:
    go_on = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(b"data: 1\n\n")
        await go_on.wait()
        await stream.write(b"data: 2\n\n")
        return stream

    place.preview.proxied_to(await behind(answer))
    async with place.get("/events") as reply:
        assert await reply.content.readany() == b"data: 1\n\n"
        go_on.set()
        assert await reply.content.read() == b"data: 2\n\n"


async def test_websockets_pass_messages_protocol_and_close_codes(place: "Place", behind: Any) -> None:
    async def answer(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(protocols=("vite-hmr",))
        await ws.prepare(request)
        async for message in ws:
            if message.data == "end":
                await ws.close(code=4321, message=b"because")
            elif message.type is aiohttp.WSMsgType.TEXT:
                await ws.send_str(f"{request.raw_path} {message.data}")
            else:
                await ws.send_bytes(message.data[::-1])
        return ws

    place.preview.proxied_to(await behind(answer))
    async with place.socket("/?token=x", protocols=("vite-hmr",), headers={"Origin": f"http://{place.host}"}) as ws:
        assert ws.protocol == "vite-hmr"
        await ws.send_str("hello")
        assert await ws.receive_str() == "/?token=x hello"
        await ws.send_bytes(b"\x00" * 300_000 + b"\x01")
        assert (await ws.receive_bytes())[:2] == b"\x01\x00"
        await ws.send_str("end")
        closed = await ws.receive()
        assert (closed.type, closed.data, closed.extra) == (aiohttp.WSMsgType.CLOSE, 4321, "because")
