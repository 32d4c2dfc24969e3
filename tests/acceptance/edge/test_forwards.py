"""Rules of a project that lead to other servers of this machine."""

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from headrace.edge.edge import Target
from headrace.model.project import ProxyRule

if TYPE_CHECKING:
    from tests.acceptance.edge.conftest import Place


async def _echo(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Upgrade"):
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str(f"{request.host} {request.raw_path}")
        return ws
    said = f"{request.method} {request.host} {request.raw_path} {request.headers.get('Cookie')}"
    return web.Response(text=f"{said} {await request.text()}")


def rules(port: int, *paths: str, host: str = "127.0.0.1") -> tuple[ProxyRule, ...]:
    return tuple(ProxyRule(path=path, to=f"http://{host}:{port}") for path in paths)


async def published(place: "Place", proxy: tuple[ProxyRule, ...], of: str) -> str:
    """The host of a preview or of a deployment with these rules and a page."""
    await place.preview.publish({"index.html": b"page", "api.txt": b"file"})
    if of == "preview":
        place.preview.set(proxy=proxy)
        return place.host
    manifest = place.preview.shown["manifest"]
    place.targets["shop"] = Target(deployment_id="dpl_1", artifact=manifest, proxy=proxy)
    return f"shop.localhost:{place.port}"


@pytest.mark.parametrize("of", ["preview", "deployment"])
async def test_a_rule_takes_its_paths_and_nothing_else(place: "Place", behind: Any, of: str) -> None:
    port = await behind(_echo)
    host = await published(place, rules(port, "/api"), of)
    sent = {"Cookie": "a=1; __Host-headrace_x=secret"}
    async with place.request("POST", "/api/users%2F1?x=1", host=host, data=b"body", headers=sent) as reply:
        assert await reply.text() == f"POST 127.0.0.1:{port} /api/users%2F1?x=1 a=1 body"
    async with place.get("/api", host=host) as reply:
        assert (await reply.text()).startswith(f"GET 127.0.0.1:{port} /api None")
    for path, body in (("/", "page"), ("/api.txt", "file"), ("/", "page")):
        async with place.get(path, host=host) as reply:
            assert await reply.text() == body


@pytest.mark.parametrize("of", ["preview", "deployment"])
async def test_websockets_follow_rules_too(place: "Place", behind: Any, of: str) -> None:
    port = await behind(_echo)
    host = await published(place, rules(port, "/api/"), of)
    async with place.socket("/api/live", host=host) as ws:
        assert await ws.receive_str() == f"127.0.0.1:{port} /api/live"
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await place.socket("/other", host=host)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await place.socket("/api/live", host=host, headers={"Origin": "http://evil.example"})
    assert caught.value.status == 403


@pytest.mark.parametrize("of", ["preview", "deployment"])
@pytest.mark.parametrize(
    "to", ["169.254.169.254:80", "example.com", "[::1]:80", "127.0.0.1.evil.example:80", "127.1:80"]
)
async def test_a_rule_leads_only_where_the_operator_allows(place: "Place", to: str, of: str) -> None:
    host = await published(place, (ProxyRule(path="/api/", to=f"http://{to}"),), of)
    async with place.get("/api/x", host=host) as reply:
        problem = await reply.json(content_type=None)
        assert (reply.status, problem["code"]) == (502, "proxy.host_refused")
        assert to in problem["detail"]


@pytest.mark.parametrize("path", ["/api/../secret", "/api/..%2fsecret", "/api/%2e%2e/secret", "/x/..;/api/"])
async def test_a_path_that_climbs_goes_nowhere(place: "Place", behind: Any, path: str) -> None:
    host = await published(place, rules(await behind(_echo), "/api/"), "preview")
    async with place.get(path, host=host) as reply:
        assert (reply.status, (await reply.json(content_type=None))["code"]) == (400, "path.invalid")


async def test_the_longest_rule_wins(place: "Place", behind: Any) -> None:
    one, two = await behind(_echo), await behind(_echo)
    host = await published(place, (*rules(one, "/"), *rules(two, "/api/v2"), *rules(one, "/api/")), "preview")
    async with place.get("/api/v2/x", host=host) as reply:
        assert f":{two} " in await reply.text()
    async with place.get("/api/v20", host=host) as reply:
        assert f":{one} " in await reply.text()


async def test_nobody_behind_a_rule_is_502(place: "Place") -> None:
    host = await published(place, rules(1, "/api/"), "deployment")
    async with place.get("/api/x", host=host) as reply:
        assert (reply.status, (await reply.json(content_type=None))["code"]) == (502, "preview.unreachable")
