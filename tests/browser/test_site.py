"""A published site in a real browser: the page, its parts, its routes, and what is not there."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Page

from headrace.checks.base import Output, OutputFile
from headrace.edge.edge import Edge, Target
from headrace.edge.protocol import protocol_for
from headrace.model.plan import BuildPlan, Routing
from headrace.pipeline.manifest import make_artifact
from headrace.store.memory import MemoryStore

pytestmark = pytest.mark.browser

INDEX = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Shop</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/index-DiwrgTda.css">
<script type="module" src="/assets/index-BF8QNONU.js"></script>
</head>
<body><main></main></body>
</html>
"""

SCRIPT = (
    """
const show = () => { document.querySelector("main").textContent = `at ${location.pathname}, VERSION` };
const go = (path) => { history.pushState({}, "", path); show() };
addEventListener("popstate", show);
globalThis.go = go;
show();
"""
    + "// padding that makes the file worth compressing\n" * 50
)

STYLE = "main { color: rgb(1, 2, 3) }\n" * 50


def files_of(version: str) -> dict[str, str]:
    return {
        "index.html": INDEX,
        "assets/index-BF8QNONU.js": SCRIPT.replace("VERSION", version),
        "assets/index-DiwrgTda.css": STYLE,
        "about.html": "<!doctype html><title>About</title><h1>About us</h1>",
    }


@dataclass
class Shop:
    """A server with one site, `shop`."""

    edge: Edge
    store: MemoryStore
    root: Path
    target: Target | None = None
    port: int = 0

    def url(self, path: str = "/") -> str:
        return f"http://shop.localhost:{self.port}{path}"

    async def publish(self, deployment: str, files: dict[str, str], routing: Routing) -> None:
        directory = self.root / deployment
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        output = Output(
            directory=deployment,
            files=tuple(OutputFile(path=name, size=len(text.encode())) for name, text in files.items()),
            bytes=sum(len(text.encode()) for text in files.values()),
        )
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            plan = BuildPlan(framework="vite", output="dist", routing=routing)
            artifact, _ = await make_artifact(self.store, descriptor, output, plan)
        finally:
            os.close(descriptor)
        self.target = Target(deployment_id=deployment, artifact=artifact.digest)
        self.edge.invalidate("shop")


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    store = MemoryStore()

    async def resolve(label: str) -> Target | None:
        return served.target if label == "shop" else None

    async def api(*_: object) -> None:
        raise AssertionError("a site's request reached the server's own application")

    served = Shop(Edge(store, resolve, api), store, tmp_path)
    config = uvicorn.Config(
        served.edge,
        http=protocol_for(served.edge),
        port=0,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    served.port = server.servers[0].sockets[0].getsockname()[1]
    yield served
    server.should_exit = True
    await task


async def test_a_single_page_app_shows_and_survives_a_reload_on_a_route(
    shop: Shop, page: Page, problems: list[str]
) -> None:
    await shop.publish("dpl_1", files_of("one"), Routing(spa=True))
    await page.goto(shop.url())
    main = page.locator("main")
    assert await main.text_content() == "at /, one"
    assert await main.evaluate("e => getComputedStyle(e).color") == "rgb(1, 2, 3)"

    await page.evaluate("go('/users/42')")
    await page.reload()
    assert await main.text_content() == "at /users/42, one"
    assert problems == []


async def test_the_browser_takes_the_compressed_form_and_keeps_hashed_files(shop: Shop, page: Page) -> None:
    await shop.publish("dpl_1", files_of("one"), Routing(spa=True))
    async with page.expect_response("**/index-BF8QNONU.js") as script:
        await page.goto(shop.url())
    headers = await (await script.value).all_headers()
    assert headers["content-encoding"] in ("br", "gzip")
    await page.goto(shop.url("/about"))
    async with page.expect_response("**/index-BF8QNONU.js") as again:
        await page.goto(shop.url())
    timing = await page.evaluate(
        "performance.getEntriesByName(location.origin + '/assets/index-BF8QNONU.js')[0].toJSON()"
    )
    assert (await again.value).ok
    assert timing["transferSize"] == 0


async def test_a_switch_shows_on_the_next_load(shop: Shop, page: Page, problems: list[str]) -> None:
    await shop.publish("dpl_1", files_of("one"), Routing())
    await page.goto(shop.url())
    new = files_of("two")
    new["assets/index-CHdo91hT.js"] = new.pop("assets/index-BF8QNONU.js")
    new["index.html"] = INDEX.replace("BF8QNONU", "CHdo91hT")
    await shop.publish("dpl_2", new, Routing())
    await page.reload()
    assert await page.locator("main").text_content() == "at /, two"
    assert problems == []


async def test_a_clean_address_shows_the_page_and_its_file_name_leads_there(shop: Shop, page: Page) -> None:
    await shop.publish("dpl_1", files_of("one"), Routing())
    response = await page.goto(shop.url("/about.html"))
    assert response
    assert page.url == shop.url("/about")
    assert await page.locator("h1").text_content() == "About us"


async def test_what_is_not_there_is_said_in_a_page(shop: Shop, page: Page) -> None:
    await shop.publish("dpl_1", files_of("one"), Routing())
    response = await page.goto(shop.url("/nowhere"))
    assert response
    assert response.status == 404
    assert await page.locator("h1").text_content() == "Page not found"

    response = await page.goto(shop.url().replace("shop", "nobody"))
    assert response
    assert response.status == 404
    assert await page.locator("code").text_content() == "404 deployment.unknown"


async def test_a_sites_own_page_for_unknown_paths_is_shown(shop: Shop, page: Page) -> None:
    files = {**files_of("one"), "404.html": "<!doctype html><title>Lost</title><h1>Lost?</h1>"}
    await shop.publish("dpl_1", files, Routing(spa=True))
    response = await page.goto(shop.url("/nowhere"))
    assert response
    assert response.status == 404
    assert await page.locator("h1").text_content() == "Lost?"
