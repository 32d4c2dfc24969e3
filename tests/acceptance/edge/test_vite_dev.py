"""Vite's own development server in its sandbox, through the edge: a page, its modules, and updates as they happen."""

import asyncio
import json
import re
import time
from typing import Any

import aiohttp
import pytest
from tests.acceptance.previews.conftest import PAGE, Preview, edited, example_files
from tests.server import Server

pytestmark = pytest.mark.sandbox

BROWSER = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}


@pytest.fixture
def vite(server: Server) -> Preview:
    preview = Preview(server, server.project("shop"))
    preview.set(mode="dev")
    sent = preview.send(example_files())
    assert sent["status"] == "ready", sent
    assert sent["preview"]["mode"] == "dev", sent
    return preview


async def _until(ws: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            message: dict[str, Any] = json.loads(await ws.receive_str())
            if message["type"] == kind:
                return message


async def test_an_update_reaches_the_pages_socket(vite: Preview) -> None:
    page = vite.get("/", **BROWSER)
    assert page.status_code == 200, page.text
    assert '<script src="/.headrace/page.js"' in page.text
    assert "/@vite/client" in page.text
    token = re.search(r'wsToken = "([^"]+)"', vite.get("/@vite/client").text)
    assert token is not None
    for module in ("/src/main.tsx", f"/{PAGE}"):
        assert vite.get(module).status_code == 200
    host = f"{vite.slug}.preview.localhost"
    headers = {"Host": host, "Origin": f"http://{host}"}
    address = vite.server.url.replace("http:", "ws:") + f"/?token={token[1]}"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(address, protocols=("vite-hmr",), headers=headers) as ws,
    ):
        assert ws.protocol == "vite-hmr"
        await _until(ws, "connected")
        for number in range(3):
            began = time.perf_counter()
            sent = asyncio.create_task(asyncio.to_thread(vite.send, {PAGE: edited(f"number {number}")}))
            update = await _until(ws, "update")
            print(f"sync to update: {(time.perf_counter() - began) * 1000:.1f} ms")  # noqa: T201
            assert update["updates"][0]["path"] == f"/{PAGE}"
            assert (await sent)["status"] == "ready"
            stamp = update["updates"][0]["timestamp"]
            assert f"number {number}" in vite.get(f"/{PAGE}?t={stamp}").text
