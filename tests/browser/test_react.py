"""The main job as a visitor sees it: a real framework project, built in a sandbox, shown by a browser."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    environment = kept | {"HEADRACE_DATA_DIR": str(tmp_path / "data"), "HEADRACE_PORT": "0"}
    command = [sys.executable, "-m", "headrace", "up", str(REPOSITORY / "examples/react-vite"), "--detach", "--json"]
    up = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    try:
        assert up.returncode == 0, up.stderr
        yield json.loads(up.stdout)["url"]
    finally:
        server = tmp_path / "data" / "server.json"
        if server.exists():
            subprocess.run(["kill", str(json.loads(server.read_text())["pid"])], check=True)


@pytest.mark.sandbox
@pytest.mark.network
@pytest.mark.browser
async def test_up_shows_a_react_page_that_answers_to_clicks(url: str, page: Page, problems: list[str]) -> None:
    await page.goto(url)
    await expect(page.get_by_role("heading", name="Get started")).to_be_visible()
    await page.get_by_role("button", name="Count is 0").click()
    await expect(page.get_by_role("button", name="Count is 1")).to_be_visible()
    assert problems == []
