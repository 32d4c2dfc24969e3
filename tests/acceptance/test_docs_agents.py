"""The examples of docs/agents.md do what the page says, against a real server and a real Vite project."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from tests.server import Server

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "agents.md").read_text()
EXAMPLE = ROOT / "examples" / "vanilla-vite"
pytestmark = [pytest.mark.sandbox, pytest.mark.network, pytest.mark.xdist_group("agents")]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a small Vite project in `app`."""
    app = tmp_path / "work" / "app"
    (app / "src").mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "index.html"):
        shutil.copy(EXAMPLE / name, app / name)
    (app / "src" / "main.js").write_text("document.title = 'first'\n")
    return app.parent


def run(server: "Server", place: Path, *argv: str) -> str:
    """What a program printed that ends well."""
    token = (server.data_dir / "token").read_text()
    environment = {**os.environ, "HEADRACE_URL": server.url, "HEADRACE_TOKEN": token}
    done = subprocess.run(argv, cwd=place, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_commands_of_curl_serve_fail_and_serve_again(server: "Server", place: Path) -> None:
    (script,) = blocks("sh")
    printed = run(server, place, "bash", "-euo", "pipefail", "-c", script)
    version, first, failed, fixed = printed.splitlines()
    assert version.startswith("ver_")
    assert first == "ready"
    assert "'file': 'src/greeting.js'" in failed
    assert "'line': 1" in failed
    assert fixed == f"http://curl-shop.preview.localhost:{server.url.rpartition(':')[2]}/"


def test_the_python_loop_reads_its_errors_and_settles_a_conflict(server: "Server", place: Path) -> None:
    client, loop = blocks("python")
    (place / "client.py").write_text(client)
    (place / "loop.py").write_text("import pathlib\nfrom client import *\n" + loop)
    printed = run(server, place, sys.executable, "loop.py").splitlines()
    served = f"served at http://python-shop.preview.localhost:{server.url.rpartition(':')[2]}/"
    assert printed[0] == served
    assert printed[1].startswith("src/main.js:1:15: ")
    assert printed[-3] == served
    assert printed[-2] == (
        "src/main.js:1: the project has [\"document.title = 'fixed'\\n\"], sent was [\"document.title = 'other'\\n\"]"
    )
    assert printed[-1] == served


def test_the_python_client_is_typed(tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(blocks("python")[0])
    argv = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(tmp_path), "client.py"]
    checked = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiler, and the types of Node."""
    place = tmp_path_factory.mktemp("typescript")
    argv = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "typescript@5.9", "@types/node@22"]
    done = subprocess.run(argv, cwd=place, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return place


def test_the_typescript_example_is_checked_and_runs(server: "Server", typescript: Path) -> None:
    (program,) = blocks("ts")
    (typescript / "agent.mts").write_text(program)
    options = ["--strict", "--target", "es2023", "--module", "nodenext", "--lib", "es2023", "--types", "node"]
    run(server, typescript, str(typescript / "node_modules/.bin/tsc"), *options, "agent.mts")
    printed = run(server, typescript, "node", "agent.mjs").splitlines()
    port = server.url.rpartition(":")[2]
    assert printed == [
        f"ready http://typescript-shop.preview.localhost:{port}/",
        "true document.title = 'open'",
        "",
        "conflict main.js document.title = 'mine' / document.title = 'theirs'",
        "ready false",
        "event preview.ready",
    ]


@pytest.fixture
def browser() -> Iterator["Browser"]:
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next((path for name in names if (path := shutil.which(name))), None)
    if executable is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    # Chromium refuses to sandbox itself as root. The page is our own.
    arguments = ["--no-proxy-server", "--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()


@pytest.mark.browser
def test_what_the_page_said_in_a_browser_is_read(
    server: "Server", browser: "Browser", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_URL", server.url)
    monkeypatch.setenv("HEADRACE_TOKEN", (server.data_dir / "token").read_text())
    names: dict[str, Any] = {}
    exec(blocks("python")[0], names)  # noqa: S102 - our own page
    project = names["make_project"]("Loud shop")
    page = (
        "<!doctype html><title>loud</title><script>console.error('one'); fetch('/nowhere')\nthrow Error('two')</script>"
    )
    answer = names["sync"](project, {"index.html": page})
    assert answer["status"] == "ready", names["explain"](answer)
    shown = browser.new_page()
    shown.goto(answer["url"])
    deadline = time.monotonic() + 30
    while len(found := names["page_errors"](project)) < 3:
        assert time.monotonic() < deadline, found
        shown.wait_for_timeout(50)
    assert "one" in found
    assert any("two" in text for text in found)
    assert any("/nowhere" in text for text in found)
