"""A real Vite project in its preview, in a real browser: where its errors were written, and what shows while it is broken."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from playwright.async_api import Page, expect
from tests.server import Server, environment_of, new_data_dir
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.sandbox, pytest.mark.network]

EXAMPLE = Path(__file__).parents[2] / "examples" / "react-vite"
APP = (EXAMPLE / "src/App.tsx").read_text()
FAULTY = APP.replace(
    "function App() {",
    """function explode(): never {
  throw new TypeError('it exploded')
}

function App() {
  console.info('rendering', { a: 1 })
  setTimeout(explode, 50)
""",
    1,
)
BROKEN = APP.replace("<h1>Get started</h1>", "<h1>Get started<h1>")


def place_of(text: str) -> str:
    line = next(number for number, line in enumerate(FAULTY.split("\n"), 1) if text in line)
    return f"src/App.tsx:{line}:"


class Project:
    def __init__(self, api: httpx2.AsyncClient, project: str, mode: str) -> None:
        self.api = api
        self.mode = mode
        self.path = f"/projects/{project}"

    async def sync(self, files: dict[str, str]) -> dict[str, Any]:
        named = [{"path": path, "content": text} for path, text in files.items()]
        author = {"kind": "agent", "name": "test"}
        body = {"author": author, "wait": True, "timeout": 100, "files": named}
        answer = await self.api.post(f"{self.path}/sync", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def link(self) -> str:
        answer = await self.api.post(f"{self.path}/preview/links", json={"seconds": 600, "path": "/"})
        return str(answer.json()["view_url"])

    async def errors(self) -> list[dict[str, Any]]:
        lines = (await self.api.get(f"{self.path}/preview/events")).content.splitlines()
        return [event for line in lines if (event := orjson.loads(line))["type"] == "preview.error"]


@pytest.fixture
async def api(tmp_path: Path, provisions: Path) -> AsyncIterator[httpx2.AsyncClient]:
    data = new_data_dir(tmp_path / "data", provisions, "layers")
    server = Server(environment_of(data), data)
    server.start()
    try:
        # The name that browsers take for safe.
        base = f"http://localhost:{server.url.rpartition(':')[2]}/api/v1"
        async with httpx2.AsyncClient(base_url=base, headers=server.http.headers, timeout=120) as client:
            yield client
    finally:
        server.stop()


@pytest.fixture(params=["build", "dev"])
async def project(api: httpx2.AsyncClient, request: pytest.FixtureRequest) -> Project:
    made = (await api.post("/workspaces/default/projects", json={"name": "shop"})).json()["id"]
    await api.patch(f"/projects/{made}", json={"settings": {"preview": {"mode": request.param}}})
    project = Project(api, made, request.param)
    paths = [path for path in EXAMPLE.rglob("*") if path.is_file() and "node_modules" not in path.parts]
    texts = [path for path in paths if path.suffix in (".html", ".json", ".ts", ".tsx", ".css", ".svg", ".js")]
    files = {str(path.relative_to(EXAMPLE)): path.read_text() for path in texts}
    files["src/App.tsx"] = FAULTY.replace("import heroImg from './assets/hero.png'", "const heroImg = ''")
    sent = await project.sync(files)
    assert sent["status"] == "ready", sent
    return project


async def test_a_page_tells_where_its_code_was_written(project: Project, page: Page) -> None:
    await page.goto(await project.link())
    row = page.locator("#rows .row")
    await expect(row.filter(has_text="rendering {a: 1}").first.locator(".place")).to_contain_text(place_of("rendering"))
    uncaught = row.filter(has_text="TypeError: it exploded").first
    await expect(uncaught.locator(".place")).to_contain_text(place_of("it exploded"))
    told = (await project.errors())[0]
    assert told["stack"][0]["file"] == "src/App.tsx"
    assert place_of("it exploded") == f"{told['stack'][0]['file']}:{told['stack'][0]['line']}:"


async def test_a_broken_version_is_explained_above_the_page_that_worked(project: Project, page: Page) -> None:
    good = APP.replace("import heroImg from './assets/hero.png'", "const heroImg = ''")
    await project.sync({"src/App.tsx": good})
    await page.goto(await project.link())
    frame = page.frame_locator("#frame")
    await expect(frame.get_by_role("heading", name="Get started")).to_be_visible()
    failed = await project.sync({"src/App.tsx": BROKEN})
    assert failed["status"] == "error"
    await expect(page.locator("#status")).to_have_text("Error")
    await expect(page.locator("#overlay")).to_contain_text("src/App.tsx:")
    await expect(frame.get_by_role("heading", name="Get started")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#overlay")).to_be_hidden()

    await project.sync({"src/App.tsx": good.replace("Get started", "Get going")})
    await expect(page.locator("#status")).to_have_text("Ready")
    await expect(frame.get_by_role("heading", name="Get going")).to_be_visible()


async def test_a_preview_that_was_put_to_sleep_sleeps_until_it_is_woken(project: Project, page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    await page.goto(await project.link())
    heading = page.frame_locator("#frame").get_by_role("heading", name="Get started")
    await expect(heading).to_be_visible()
    await page.get_by_role("button", name="Sleep").click()
    await expect(page.locator("#status")).to_have_text("Asleep")
    # Vite's own client asks each second whether its server is there again.
    await page.wait_for_timeout(3000)
    await expect(page.locator("#status")).to_have_text("Asleep")
    await page.get_by_role("button", name="Wake").click()
    await expect(page.locator("#status")).to_have_text("Ready")
    # What changes before Vite's client has its connection, it does not hear of.
    await until(lambda: project.mode == "build" or said.count("[vite] connected.") == 2)
    awake = FAULTY.replace("import heroImg from './assets/hero.png'", "const heroImg = ''").replace(
        "Get started", "Get up"
    )
    await project.sync({"src/App.tsx": awake})
    await expect(page.frame_locator("#frame").get_by_role("heading", name="Get up")).to_be_visible()
