"""Who gets to see a preview: links, passwords, the API token; and who never does."""

import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from headrace.model.ids import new_id
from headrace.model.preview import Protection
from headrace.preview.links import sign, view_grant, visit_grant
from headrace.preview.passwords import hash_password

if TYPE_CHECKING:
    from tests.acceptance.edge.conftest import Place

SECRET = b"s" * 32
TOKEN = "Bearer hr_api_of_the_tests"
BROWSER = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def link(place: "Place", seconds: int = 60, grant: str | None = None, secret: bytes = SECRET) -> str:
    return sign(secret, grant or visit_grant(place.preview.project.id), int(time.time()) + seconds)


async def guarded(place: "Place", protection: Protection = Protection.MEMBERS, password: str | None = None) -> None:
    await place.preview.publish({"index.html": b"<h1>secret</h1>", "a.js": b"secret"})
    kept = await hash_password(password) if password else None
    place.preview.set(protection=protection, password_hash=kept)


@pytest.mark.parametrize("path", ["/", "/a.js", "/.headrace/page.js", "/nothing", "/?headrace=", "/?min_version=x"])
async def test_members_only_says_nothing_to_others_and_wakes_nothing(place: "Place", path: str) -> None:
    await guarded(place)
    async with place.get(path) as reply:
        assert reply.status in (401, 403)
        assert (await reply.json(content_type=None))["code"] in ("preview.members_only", "preview.link_invalid")
        assert "X-Headrace-Version" not in reply.headers
    assert place.preview.woken == 0


async def test_people_are_told_how_to_get_a_link(place: "Place") -> None:
    await guarded(place)
    async with place.get("/", headers=BROWSER) as reply:
        assert (reply.status, reply.content_type) == (401, "text/html")
        assert "signed link" in await reply.text()


async def test_a_link_becomes_a_cookie_at_the_clean_address(place: "Place") -> None:
    await guarded(place)
    async with place.get(f"/a?x=1&headrace={link(place)}&y=2", headers=BROWSER) as reply:
        assert (reply.status, reply.headers["Location"]) == (303, "/a?x=1&y=2")
        cookie = reply.headers["Set-Cookie"]
    assert cookie.startswith(f"__Host-headrace_{place.preview.project.id}=")
    assert cookie.endswith("; Secure; SameSite=None; Partitioned")
    assert "; Path=/; HttpOnly; Max-Age=" in cookie
    async with place.get("/a.js", headers={"Cookie": cookie.partition(";")[0]}) as reply:
        assert (reply.status, reply.headers["Cache-Control"]) == (200, "no-cache")


async def test_programs_use_a_link_or_the_token_as_they_are(place: "Place") -> None:
    await guarded(place)
    async with place.get(f"/a.js?headrace={link(place)}") as reply:
        assert (reply.status, await reply.text()) == (200, "secret")
    async with place.get("/a.js", headers={"Authorization": TOKEN}) as reply:
        assert reply.status == 200


@pytest.mark.parametrize(
    ("made", "code"),
    [
        ({"seconds": -1}, "preview.link_expired"),
        ({"grant": visit_grant(new_id("prj"))}, "preview.link_invalid"),
        ({"grant": "view"}, "preview.link_invalid"),
        ({"secret": b"x" * 32}, "preview.link_invalid"),
    ],
)
async def test_other_links_are_refused_and_say_so(place: "Place", made: dict[str, Any], code: str) -> None:
    await guarded(place)
    if made.get("grant") == "view":
        made = {"grant": view_grant(place.preview.project.id)}
    async with place.get(f"/?headrace={link(place, **made)}", headers=BROWSER) as reply:
        assert (reply.status, "Set-Cookie" in reply.headers) == (403, False)
        assert code in await reply.text()


async def test_a_link_to_a_public_preview_leads_there_whatever_it_is(place: "Place") -> None:
    await place.preview.publish({"index.html": b"hi"})
    async with place.get("/?headrace=old", headers=BROWSER) as reply:
        assert (reply.status, reply.headers["Location"], "Set-Cookie" in reply.headers) == (303, "/", False)


async def test_a_password_lets_in_and_its_cookie_ends_with_it(place: "Place") -> None:
    await guarded(place, Protection.PASSWORD, "opén sesame")
    async with place.get("/a?b=1", headers=BROWSER) as reply:
        page = await reply.text()
        assert (reply.status, 'name="to" value="/a?b=1"' in page) == (401, True)
    form = "to=%2Fa%3Fb%3D1&password=op%C3%A9n+sesame"
    async with place.request("POST", "/.headrace/password", data=form, headers={**FORM, **BROWSER}) as reply:
        assert (reply.status, reply.headers["Location"]) == (303, "/a?b=1")
        cookie = {"Cookie": reply.headers["Set-Cookie"].partition(";")[0]}
    async with place.get("/a.js", headers=cookie) as reply:
        assert reply.status == 200
    place.preview.set(protection=Protection.PASSWORD, password_hash=await hash_password("another"))
    async with place.get("/a.js", headers=cookie) as reply:
        assert reply.status == 401
    place.preview.set(protection=Protection.MEMBERS)
    async with place.get("/a.js", headers=cookie) as reply:
        assert reply.status == 401


@pytest.mark.parametrize("to", ["//evil.example", "/\\evil.example", "https://evil.example", "a", "/a%0d%0aX:1"])
async def test_a_form_leads_nowhere_else(place: "Place", to: str) -> None:
    await guarded(place, Protection.PASSWORD, "pw")
    form = f"password=pw&to={to}"
    async with place.request("POST", "/.headrace/password", data=form, headers=FORM) as reply:
        assert (reply.status, reply.headers["Location"]) == (303, "/")


async def test_wrong_passwords_are_refused_and_many_of_them_unseen(place: "Place") -> None:
    await guarded(place, Protection.PASSWORD, "pw")
    seen = []
    for _ in range(10):
        async with place.request("POST", "/.headrace/password", data="password=no", headers=FORM) as reply:
            seen.append(reply.status)
    async with place.request("POST", "/.headrace/password", data="password=pw", headers=FORM) as reply:
        assert (seen, reply.status, reply.headers["Retry-After"]) == ([403] * 10, 429, "60")


async def test_without_a_password_set_nobody_enters_by_one(place: "Place") -> None:
    await guarded(place, Protection.PASSWORD)
    async with place.request("POST", "/.headrace/password", data="password=", headers=FORM) as reply:
        assert reply.status == 403


async def test_websockets_pass_the_same_gate(place: "Place", behind: Any) -> None:
    async def answer(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str(f"{request.raw_path} {request.headers.get('Cookie')}")
        return ws

    await guarded(place)
    place.preview.proxied_to(await behind(answer))
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await place.socket("/hmr")
    assert caught.value.status == 401
    async with place.socket(f"/hmr?headrace={link(place)}") as ws:
        assert await ws.receive_str() == "/hmr None"
    name = f"__Host-headrace_{place.preview.project.id}"
    async with place.socket("/hmr", headers={"Cookie": f"a=1; {name}={link(place)}"}) as ws:
        assert await ws.receive_str() == "/hmr a=1"


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://other.preview.localhost", "http://localhost"]
)
async def test_another_origin_opens_no_websocket_and_sends_no_cookies(place: "Place", origin: str) -> None:
    await place.preview.publish({"index.html": b"hi"})
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await place.socket("/", headers={"Origin": origin})
    assert caught.value.status == 403
    async with place.get("/", headers={"Origin": origin, "Cookie": "a=1"}) as reply:
        assert (reply.status, (await reply.json(content_type=None))["code"]) == (403, "preview.foreign_origin")
    async with place.get("/", headers={"Origin": origin}) as reply:
        assert reply.status == 200
