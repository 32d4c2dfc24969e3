"""A real Vite project behind a real server, synced and visited as an agent and a browser would."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.server import Server, new_data_dir
from tests.waiting import wait_until

EXAMPLE = Path(__file__).parents[3] / "examples" / "react-vite"
PAGE = "src/App.tsx"
TEXT = (EXAMPLE / PAGE).read_text()


def edited(mark: str) -> str:
    return TEXT.replace("Get started", f"Get {mark}")


BROKEN = TEXT.replace("<h1>Get started</h1>", "<h1>Get started<h1>")


class Preview:
    """One project's preview: what is sent to it, and what its visitors get."""

    def __init__(self, server: Server, project: dict[str, Any]) -> None:
        self.server = server
        self.id: str = project["id"]
        self.slug: str = project["slug"]

    def send(self, files: dict[str, str | bytes | None], **options: Any) -> dict[str, Any]:
        """Sync and wait for what comes of it."""
        body = {"files": [_entry(path, data) for path, data in files.items()], "wait": True, "timeout": 90, **options}
        answer = self.server.http.post(f"/projects/{self.id}/sync", json=body, timeout=120)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def set(self, **settings: Any) -> None:
        answer = self.server.http.patch(f"/projects/{self.id}", json={"settings": {"preview": settings}})
        assert answer.is_success, answer.text

    def get(self, path: str = "/", **headers: str) -> httpx2.Response:
        sent = {"Host": f"{self.slug}.preview.localhost", **headers}
        return httpx2.get(self.server.url + path, headers=sent, timeout=60)

    def script(self) -> str:
        """The page's own script."""
        page = self.get("/", Accept="text/html")
        assert page.status_code == 200, page.text
        path = page.text.split('src="/assets/')[1].split('"')[0]
        return self.get(f"/assets/{path}").text

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.server.http.get(f"/projects/{self.id}/preview").json()
        return found

    def until(self, status: str, seconds: float = 60) -> None:
        wait_until(lambda: self.state()["status"] == status, seconds)

    def stop(self) -> None:
        assert self.server.http.post(f"/projects/{self.id}/preview/stop").is_success

    def events(self, kind: str) -> list[dict[str, Any]]:
        lines = self.server.http.get(f"/projects/{self.id}/preview/events").text.splitlines()
        return [event for line in lines if (event := httpx2.Response(200, text=line).json())["type"] == kind]


def _entry(path: str, data: str | bytes | None) -> dict[str, Any]:
    if data is None:
        return {"path": path, "delete": True}
    if isinstance(data, str):
        return {"path": path, "content": data}
    return {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64"}


def example_files() -> dict[str, str | bytes | None]:
    paths = [path for path in EXAMPLE.rglob("*") if path.is_file() and "node_modules" not in path.parts]
    return {str(path.relative_to(EXAMPLE)): path.read_bytes() for path in paths}


def left_in(data_dir: Path) -> list[str]:
    """Sandboxes and processes of a data directory, except its server."""
    sandboxes = [path.name for path in (data_dir / "sandboxes").glob("[!.]*")]
    running = subprocess.run(["pgrep", "-fa", str(data_dir)], capture_output=True, text=True, check=False).stdout
    return sandboxes + [line for line in running.splitlines() if "headrace serve" not in line and "pgrep" not in line]


@pytest.fixture
def data_dir(tmp_path: Path, provisions: Path) -> Path:
    """Dependencies are installed once for all tests here."""
    return new_data_dir(tmp_path / "data", provisions, "layers")


@pytest.fixture
def vite(server: Server) -> Preview:
    """The React template, on its page."""
    preview = Preview(server, server.project("shop"))
    sent = preview.send(example_files())
    assert sent["status"] == "ready", sent
    return preview
