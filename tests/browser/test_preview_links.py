"""A protected preview in a frame of the server's own page: for a browser another site, whose cookies it may block."""

import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import BrowserContext, async_playwright, expect
from tests.acceptance.edge.conftest import SECRET, Place, open_place

from headrace.model.preview import Protection
from headrace.preview.links import sign, visit_grant
from headrace.preview.passwords import hash_password

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><html><head><script type="module" crossorigin src="/a.js"></script></head>
<body><h1>waiting</h1></body></html>"""
SCRIPT = """
const socket = new WebSocket(`ws://${location.host}/hmr`);
socket.onmessage = (message) => { document.querySelector("h1").textContent = message.data };
"""


async def _answer(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Upgrade"):
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str("connected")
        async for _ in ws:
            pass
        return ws
    if request.path == "/a.js":
        return web.Response(text=SCRIPT, content_type="text/javascript")
    # A tenant's cookie that is not kept apart for each site around the frame.
    cookie = {"Set-Cookie": "plain=1; Path=/; Secure; SameSite=None"}
    return web.Response(text=PAGE, content_type="text/html", headers=cookie)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with AsyncExitStack() as held:
        place = await open_place(held)
        runner = web.ServerRunner(web.Server(_answer), shutdown_timeout=0)  # type: ignore[arg-type]
        await runner.setup()
        held.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        place.preview.proxied_to(runner.addresses[0][1])
        place.preview.set(protection=Protection.MEMBERS)
        yield place


@pytest.fixture(params=[False, True], ids=["cookies-of-others-taken", "cookies-of-others-blocked"])
async def context(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BrowserContext]:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    blocks: bool = request.param
    preferences = {"profile": {"cookie_controls_mode": int(blocks), "block_third_party_cookies": blocks}}
    (tmp_path / "Default").mkdir()
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(preferences))
    arguments = ["--no-proxy-server", "--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            tmp_path, executable_path=executable, args=arguments
        )
        context.set_default_timeout(60_000)
        yield context
        await context.close()


def link(place: Place) -> str:
    token = sign(SECRET, visit_grant(place.preview.project.id), int(time.time()) + 600)
    return f"http://{place.host}/?headrace={token}"


async def test_a_link_opens_the_preview_in_a_frame(
    place: Place, context: BrowserContext, request: pytest.FixtureRequest
) -> None:
    page = await context.new_page()
    await page.goto(f"http://localhost:{place.port}/")
    await page.set_content(f'<iframe src="{link(place)}"></iframe>')
    await expect(page.frame_locator("iframe").locator("h1")).to_have_text("connected")
    assert page.frames[1].url == f"http://{place.host}/"
    kept = {cookie["name"].partition("_prj")[0] for cookie in await context.cookies()}
    # The tenant's own cookie shows that this browser does what it is meant to do here.
    is_blocking = "blocked" in request.node.name
    assert kept == ({"__Host-headrace"} if is_blocking else {"__Host-headrace", "plain"})


async def test_a_link_opens_the_preview_in_a_window_of_its_own(place: Place, context: BrowserContext) -> None:
    page = await context.new_page()
    await page.goto(link(place))
    await expect(page.locator("h1")).to_have_text("connected")
    assert await page.evaluate("document.cookie") == "plain=1"


async def test_a_password_opens_it_in_a_frame(place: Place, context: BrowserContext) -> None:
    place.preview.set(protection=Protection.PASSWORD, password_hash=await hash_password("open sesame"))
    page = await context.new_page()
    await page.goto(f"http://localhost:{place.port}/")
    await page.set_content(f'<iframe src="http://{place.host}/?a=1"></iframe>')
    frame = page.frame_locator("iframe")
    await frame.locator("input[type=password]").fill("open sesame")
    await frame.locator("button").click()
    await expect(frame.locator("h1")).to_have_text("connected")
    assert page.frames[1].url == f"http://{place.host}/?a=1"
