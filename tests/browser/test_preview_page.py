"""The page around a preview in a real browser: what a friendly page tells, and what a hostile one can't do."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from playwright.async_api import Error, FrameLocator, Page, expect

pytestmark = pytest.mark.browser

MAIN = """console.log("hello %s", "world", {a: [1, {b: 2}]});
console.warn("careful");
function later() { nothing.here(); }
setTimeout(later, 10);
Promise.reject(new RangeError("nobody caught it"));
fetch("/missing.json?x=1");
document.querySelector("h1").dataset.ran = "yes";
"""
PAGE = """<!doctype html>
<html><head><meta charset="utf-8"><title>Shop</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css"></head>
<body><h1>Hello</h1><script src="main.js"></script></body></html>
"""
FRIENDLY = {"index.html": PAGE, "main.js": MAIN, "style.css": "h1 { color: rgb(1, 2, 3) }"}


@dataclass
class Server:
    api: httpx2.AsyncClient
    project: str = ""

    async def sync(self, files: dict[str, str], *, wait: bool = True) -> dict[str, Any]:
        body = {
            "author": {"kind": "agent", "name": "test"},
            "wait": wait,
            "timeout": 30,
            "files": [{"path": path, "content": text} for path, text in files.items()],
        }
        answer = await self.api.post(f"/projects/{self.project}/sync", json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def link(self) -> str:
        answer = await self.api.post(f"/projects/{self.project}/preview/links", json={"seconds": 600, "path": "/"})
        return str(answer.json()["view_url"])

    async def events(self, kind: str, count: int = 0) -> list[dict[str, Any]]:
        """Waits for so many: the panel shows what a page says before the server has heard it."""
        async with asyncio.timeout(60):
            while True:
                lines = (await self.api.get(f"/projects/{self.project}/preview/events")).content.splitlines()
                found = [event for line in lines if (event := orjson.loads(line))["type"] == kind]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.05)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    data = tmp_path / "data"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headrace", "serve"),
        env=kept | {"HEADRACE_DATA_DIR": str(data), "HEADRACE_PORT": "0"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            while not (data / "server.json").exists():
                assert process.returncode is None
                await asyncio.sleep(0.05)
        port = orjson.loads((data / "server.json").read_bytes())["url"].rpartition(":")[2]
        headers = {"Authorization": f"Bearer {(data / 'token').read_text().strip()}"}
        base = f"http://localhost:{port}/api/v1"
        async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=60) as api:
            yield Server(api, (await api.post("/workspaces/default/projects", json={"name": "shop"})).json()["id"])
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def framed(page: Page) -> FrameLocator:
    return page.frame_locator("#frame")


async def rows(page: Page) -> list[tuple[str, str, str]]:
    found = await page.locator("#rows .row").all()
    return [tuple([await row.locator(part).inner_text() for part in (".kind", ".text", ".place")]) for row in found]  # type: ignore[misc]


async def test_what_a_page_logs_and_where_it_fails_is_in_the_panel_and_in_the_log(server: Server, page: Page) -> None:
    await server.sync(FRIENDLY)
    await page.goto(await server.link())
    await expect(framed(page).get_by_role("heading", name="Hello")).to_be_visible()
    await expect(page.locator("#status")).to_have_text("Ready")
    await expect(page.locator("#rows .row")).to_have_count(5)
    await expect(page.locator("#rows .row", has_text="main.js:3:20")).to_have_count(1)

    origin = await framed(page).locator("html").evaluate("() => location.origin")
    assert sorted(await rows(page)) == [
        ("log", "hello world {a: [1, {b: 2}]}", "main.js:1:9"),
        ("request", f"GET {origin}/missing.json?x=1 404", ""),
        ("uncaught", "ReferenceError: nothing is not defined", "main.js:3:20"),
        ("uncaught", "Unhandled promise rejection: RangeError: nobody caught it", "main.js:5:16"),
        ("warn", "careful", "main.js:2:9"),
    ]
    assert await page.locator("#errors").inner_text() == "3"

    logged, warned = await server.events("preview.console", 2)
    assert (logged["level"], logged["at"]["line"], warned["level"]) == ("log", 1, "warn")
    assert logged["version_id"] == (await server.events("preview.ready"))[0]["version_id"]
    assert {event["stack"][0].get("function") for event in await server.events("preview.error", 2)} == {"later", None}
    [request] = await server.events("preview.request_failed", 1)
    assert (request["method"], request["status"]) == ("GET", 404)


async def test_the_panel_filters_and_clears(server: Server, page: Page) -> None:
    await server.sync(FRIENDLY)
    await page.goto(await server.link())
    shown = page.locator("#rows .row:visible")
    await expect(shown).to_have_count(5)
    await page.get_by_label("Filter messages by kind").select_option("warn")
    await expect(shown).to_have_count(4)
    await page.get_by_label("Filter messages by text").fill("nobody")
    await expect(shown).to_have_count(1)
    await page.get_by_role("button", name="Clear").click()
    await expect(page.locator("#rows .row")).to_have_count(0)
    await expect(page.locator("#errors")).to_be_hidden()


async def test_new_styles_are_put_in_and_everything_else_loads_the_page_again(server: Server, page: Page) -> None:
    await server.sync(FRIENDLY)
    await page.goto(await server.link())
    heading = framed(page).get_by_role("heading", name="Hello")
    await expect(heading).to_have_css("color", "rgb(1, 2, 3)")
    await expect(page.locator("#rows .row")).to_have_count(5)
    await framed(page).locator("html").evaluate("() => { window.kept = true }")

    await server.sync({"style.css": "h1 { color: rgb(7, 8, 9) }"})
    await expect(heading).to_have_css("color", "rgb(7, 8, 9)")
    await server.sync({"style.css": "h1 { color: rgb(9, 9, 9) }"})
    await expect(heading).to_have_css("color", "rgb(9, 9, 9)")
    # The old sheet goes when the new one has come.
    await expect(framed(page).locator("link[rel=stylesheet]")).to_have_count(1)
    assert await heading.evaluate("() => window.kept") is True

    await server.sync({"main.js": MAIN + "document.querySelector('h1').append('!')"})
    await expect(framed(page).get_by_role("heading", name="Hello!")).to_be_visible()
    assert await heading.evaluate("() => window.kept") is None


async def test_a_reader_stays_where_he_was(server: Server, page: Page) -> None:
    tall = "document.querySelector('h1').style.height = '4000px'; console.log('tall')"
    await server.sync(FRIENDLY | {"main.js": tall})
    await page.goto(await server.link())
    html = framed(page).locator("html")
    await expect(page.locator("#rows .row", has_text="tall")).to_have_count(1)
    await html.evaluate("() => scrollTo(0, 1500)")
    await server.sync({"main.js": f"setTimeout(() => {{ {tall}; document.title = 'new' }}, 100)"})
    for _ in range(1000):
        with suppress(Error):  # the page is being replaced
            if await html.evaluate("() => document.title === 'new' && scrollY > 1400"):
                break
        await asyncio.sleep(0.05)
    assert await html.evaluate("() => scrollY") == 1500


async def test_sleeping_and_waking_are_seen_at_once(server: Server, page: Page) -> None:
    await server.sync(FRIENDLY)
    await page.goto(await server.link())
    # Until it has its page, the frame itself is a visitor on the way.
    await expect(framed(page).get_by_role("heading", name="Hello")).to_be_visible()
    await expect(page.locator("#status")).to_have_text("Ready")
    await page.get_by_role("button", name="Sleep").click()
    await expect(page.locator("#status")).to_have_text("Asleep")
    await page.get_by_role("button", name="Wake").click()
    await expect(page.locator("#status")).to_have_text("Ready")


async def test_a_page_that_goes_on_asking_does_not_end_the_sleep_that_was_asked_for(server: Server, page: Page) -> None:
    asking = (
        "let asked = 0; setInterval(async () => { await fetch('/main.js?' + ++asked); window.answered = asked }, 20)"
    )
    await server.sync(FRIENDLY | {"main.js": asking})
    await page.goto(await server.link())
    await expect(framed(page).get_by_role("heading", name="Hello")).to_be_visible()
    frame = page.frames[1]
    await frame.wait_for_function("() => window.answered > 0")
    for _ in range(10):
        await page.get_by_role("button", name="Sleep").click()
        await expect(page.locator("#status")).to_have_text("Asleep")
        await frame.evaluate("() => { window.before = window.answered }")
        await frame.wait_for_function("() => window.answered > window.before + 5")
        await expect(page.locator("#status")).to_have_text("Asleep")
        await page.get_by_role("button", name="Wake").click()
        await expect(page.locator("#status")).to_have_text("Ready")
    await page.get_by_role("button", name="Sleep").click()
    await expect(page.locator("#status")).to_have_text("Asleep")
    await page.get_by_role("button", name="Reload").click()
    await expect(page.locator("#status")).to_have_text("Ready")


@pytest.mark.sandbox
async def test_a_preview_can_be_put_to_sleep_before_it_has_a_page(server: Server, page: Page) -> None:
    slow = {"package.json": '{"name": "slow", "scripts": {"build": "sleep 600"}}', "index.html": PAGE}
    await server.sync(slow, wait=False)
    await page.goto(await server.link())
    heading = framed(page).get_by_role("heading", name="On its way")
    await expect(heading).to_be_visible()
    await page.get_by_role("button", name="Sleep").click()
    await expect(page.locator("#status")).to_have_text("Asleep")
    await expect(heading).to_have_count(0)
    # That page would have come again each second.
    await page.wait_for_timeout(2500)
    await expect(page.locator("#status")).to_have_text("Asleep")
    await page.get_by_role("button", name="Wake").click()
    await expect(heading).to_be_visible()


async def test_the_consoles_own_behaviour_stays(server: Server, page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    odd = """
        const cycle = {name: "c"}; cycle.self = cycle;
        let asked = 0;
        const shy = {get secret() { asked++; throw new Error("no") }};
        const trap = new Proxy({}, {ownKeys() { throw new Error("trapped") }});
        console.log(cycle); console.log(shy); console.log(trap);
        console.log(document.querySelector("h1"), Symbol("s"), 10n, -0, null, undefined, class Foo {}, () => 1);
        console.log("x".repeat(100000));
        console.assert(1 === 2, "sums");
        console.log(new Proxy({}, {getOwnPropertyDescriptor() { console.log("inside"); return undefined }}));
        if (asked) console.error("a getter ran");
        console.log("%s is %d years%%, %o %c.", "he", 42.5, [1], "color: red");
    """
    await server.sync(FRIENDLY | {"main.js": odd})
    await page.goto(await server.link())
    await expect(page.locator("#rows .row", has_text="he is 42 years%")).to_have_count(1)
    texts = [text for _, text, _ in await rows(page)]
    assert texts[:4] == [
        "{name: 'c', self: [Circular]}",
        "{secret: (...)}",
        "[object that can't be shown]",
        "<h1> Symbol(s) 10n -0 null undefined class Foo ƒ ()",
    ]
    assert len(texts[4]) == 4000
    assert texts[5] == "Assertion failed: sums"
    assert texts[-1] == "he is 42 years%, [1] ."
    assert any(line.startswith("assert") for line in said)


async def test_a_flood_is_cut_off_and_said_once(server: Server, page: Page) -> None:
    flood = "for (let n = 0; n < 3_000; n++) console.log('line', n); setTimeout(() => { document.title = 'done' }, 0)"
    await server.sync(FRIENDLY | {"main.js": flood})
    await page.goto(await server.link())
    await expect(page.locator("#rows .row", has_text="says more than is kept")).to_have_count(1)
    await expect(framed(page).locator("h1")).to_be_visible()
    assert len(await server.events("preview.console")) <= 300


HOSTILE = """
const found = {};
const attempt = async (name, act) => {
  try { found[name] = `did: ${await act()}` } catch (error) { found[name] = `refused: ${error.name}` }
};
const shell = document.referrer ? new URL(document.referrer).origin : location.ancestorOrigins[0];
(async () => {
  await attempt("document", () => parent.document.cookie);
  await attempt("storage", () => parent.localStorage.length);
  await attempt("location", () => parent.location.href);
  await attempt("top", () => { top.location.href = "http://evil.localhost/"; return "navigated" });
  await attempt("open", () => { const w = open(`${shell}/view/PROJECT`, "_top"); return w ? "opened" : Promise.reject(new Error()) });
  await attempt("worker", () => navigator.serviceWorker.register(`${shell}/view/assets/view.js`, {scope: `${shell}/`}));
  await attempt("state", async () => (await fetch(`${shell}/api/v1/projects/PROJECT/preview`, {credentials: "include"})).status);
  await attempt("stop", async () => (await fetch(`${shell}/api/v1/projects/PROJECT/preview/stop`, {method: "POST", credentials: "include"})).status);
  document.cookie = "headrace_view_PROJECT=stolen; domain=localhost; path=/";
  document.cookie = "headrace_view_PROJECT=stolen; path=/";
  found.cookies = document.cookie.includes("HttpOnly") || /headrace_view_PROJECT=\\d/.test(document.cookie);
  const inner = document.createElement("iframe");
  inner.src = `${shell}/view/PROJECT`;
  document.body.append(inner);
  await new Promise((done) => { inner.onload = done; setTimeout(done, 3000) });
  await attempt("framed", () => { if (inner.contentWindow.length > 0) return "frames"; throw new Error() });
  document.body.dataset.found = JSON.stringify(found);
})();
"""


async def test_a_hostile_page_gets_nothing_of_the_page_around_it(server: Server, page: Page) -> None:
    await server.sync({"index.html": PAGE, "main.js": HOSTILE.replace("PROJECT", server.project), "style.css": ""})
    link = await server.link()
    await page.goto(link)
    body = framed(page).locator("body[data-found]")
    await expect(body).to_have_count(1)
    found = orjson.loads(await body.get_attribute("data-found") or "")
    assert found.pop("cookies") is False
    assert {name: told for name, told in found.items() if not told.startswith("refused")} == {}

    assert page.url == link.partition("?")[0]
    await expect(page.locator("#status")).to_have_text("Ready")
    own = [cookie async for cookie in _cookies(page, link)]
    assert [cookie["value"] for cookie in own if cookie["name"].startswith("headrace_view_")] != ["stolen"]
    assert await page.evaluate("async () => (await navigator.serviceWorker.getRegistrations()).length") == 0
    assert await server.events("preview.asleep") == []


async def _cookies(page: Page, url: str) -> AsyncIterator[Any]:
    for cookie in await page.context.cookies(url):
        yield cookie


FORGER = """
const forge = (message) => parent.postMessage(message, "*");
const shape = {source: "headrace-preview", version: 1};
forge({...shape, type: "preview.failed", status: "error", message: "forged", seq: 9e9, diagnostics: [{message: "forged"}]});
forge({...shape, type: "status", status: "error"});
forge({...shape, type: "__proto__", id: "a.1"});
forge({...shape, type: "constructor", id: "a.2"});
forge({...shape, type: "console", id: "a.3", level: "constructor", text: "forged"});
forge({...shape, type: "console", id: "a.4", level: "log", text: {toString: 1}});
forge({...shape, version: 2, type: "console", id: "a.5", level: "log", text: "forged"});
forge(JSON.parse('{"source":"headrace-preview","version":1,"type":"console","id":"a.6","level":"log","text":"proto kept out","__proto__":{"polluted":1}}'));
forge(JSON.parse('{"__proto__":{"source":"headrace-preview","version":1,"type":"console","id":"a.7","level":"log","text":"forged"}}'));
const cycle = {...shape, type: "console", id: "a.8", level: "log", text: "cyclic is fine"}; cycle.self = cycle;
forge(cycle);
forge({...shape, type: "console", id: "a.9", level: "log", text: "<img src=x onerror=alert(1)>" + "x".repeat(20_000_000)});
forge({...shape, type: "hello", page: "//evil.localhost/"});
forge(null); forge("ready"); forge([1]); forge(new ArrayBuffer(10));
for (const [name, source] of [["srcdoc", null], ["blank", "about:blank"]]) {
  const inner = document.createElement("iframe");
  const script = `<script>top.postMessage({source:"headrace-preview",version:1,type:"console",id:"b.1",level:"log",text:"forged by ${name}"}, "*")<\\/script>`;
  if (source === null) { inner.srcdoc = script; inner.sandbox = "allow-scripts"; }
  document.body.append(inner);
  if (source) inner.contentDocument.write(script);
}
setTimeout(() => console.log("all sent"), 300);
"""


async def test_messages_can_not_forge_how_a_preview_stands(server: Server, page: Page, problems: list[str]) -> None:
    await server.sync({"index.html": PAGE, "main.js": FORGER, "style.css": ""})
    await page.goto(await server.link())
    await expect(page.locator("#rows .row", has_text="all sent")).to_have_count(1)
    await expect(page.locator("#status")).to_have_text("Ready")
    await expect(page.locator("#overlay")).to_be_hidden()
    texts = [text for _, text, _ in await rows(page)]
    assert [text[:14] for text in texts] == ["proto kept out", "cyclic is fine", "<img src=x one", "all sent"]
    assert max(map(len, texts)) <= 4096
    assert await page.evaluate("() => ({}).polluted") is None
    assert await page.locator("#rows img").count() == 0
    await page.get_by_role("button", name="Reload").click()
    await expect(framed(page).locator("h1")).to_be_visible()
    assert page.frames[1].url.startswith("http://shop.preview.localhost")
    assert [text for text in problems if "view.js" in text] == []


async def test_a_page_of_another_window_is_not_listened_to(server: Server, page: Page) -> None:
    await server.sync(FRIENDLY)
    await page.goto(await server.link())
    await expect(page.locator("#rows .row")).to_have_count(5)
    forged = {"source": "headrace-preview", "version": 1, "type": "console", "id": "z.1", "level": "log", "text": "me"}
    await page.evaluate("(message) => postMessage(message, '*')", forged)
    await page.evaluate("() => new Promise((done) => setTimeout(done, 100))")
    await expect(page.locator("#rows .row")).to_have_count(5)


async def test_a_link_from_another_site_opens_the_page(server: Server, page: Page) -> None:
    await server.sync(FRIENDLY)
    link = await server.link()
    await page.route("http://chat.example/", lambda route: route.fulfill(body=f'<a href="{link}">see</a>'))
    await page.goto("http://chat.example/")
    await page.get_by_text("see").click()
    await expect(page.locator("#status")).to_have_text("Ready")
    assert "access" not in page.url


@pytest.mark.parametrize("protection", ["password", "members"])
async def test_a_protected_preview_shows_in_the_frame(server: Server, page: Page, protection: str) -> None:
    settings = {"preview": {"protection": protection, "password": "open sesame"}}
    answer = await server.api.patch(f"/projects/{server.project}", json={"settings": settings})
    assert answer.status_code == 200, answer.text
    await server.sync(FRIENDLY)
    await page.goto(await server.link())
    await expect(framed(page).locator("h1[data-ran=yes]")).to_be_visible()
    await expect(framed(page).locator("h1")).to_have_css("color", "rgb(1, 2, 3)")
    await expect(page.locator("#rows .row", has_text="main.js:3:20")).to_have_count(1)
