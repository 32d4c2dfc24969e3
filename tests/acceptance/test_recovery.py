"""When the server dies or somebody cancels, in the middle of each step: nothing is lost, nothing is left behind."""

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.mounts import mounts_with
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.server import Server

pytestmark = pytest.mark.sandbox

LOCK = """{"name": "slow", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
 "packages": {"": {"name": "slow", "version": "1.0.0", "hasInstallScript": true}}}"""


def slow_project(install_seconds: float, build_seconds: float) -> dict[str, str]:
    """A project that takes its time and counts aloud, so that a gap in its log can be seen."""
    count = (
        "const [word, seconds] = process.argv.slice(2); let n = 0;"
        "const t = setInterval(() => { console.log(word + ' ' + n++);"
        " if (n >= seconds * 20) { clearInterval(t); done(); } }, 50);"
        "function done() { const fs = require('fs'); fs.mkdirSync('dist', {recursive: true});"
        " fs.writeFileSync('dist/index.html', '<h1>counted to ' + n + '</h1>'); }"
    )
    package = (
        '{"name": "slow", "version": "1.0.0", "scripts": {'
        f'"postinstall": "node count.js dependencies {install_seconds}", "build": "node count.js build {build_seconds}"}}}}'
    )
    return {
        "package.json": package,
        "package-lock.json": LOCK,
        "count.js": count,
        "headrace.toml": '[build]\noutput = "dist"\n',
    }


def assert_log_is_whole(server: "Server", build_id: str, step: str, lines: int) -> None:
    events = server.events(build_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    printed = [e["line"] for e in events if e["type"] == "build.log" and e["step"] == step]
    assert [line for line in printed if line.startswith(step)] == [f"{step} {n}" for n in range(lines)]
    assert sum(event["type"] == "build.completed" for event in events) == 1


def left_in(data_dir: Path) -> list[str]:
    """Names of sandboxes, directories of builds and processes that are still there."""
    found = [path.name for part in ("sandboxes", "builds") for path in (data_dir / part).glob("[!.]*")]
    running = subprocess.run(["pgrep", "-fa", str(data_dir)], capture_output=True, text=True, check=False).stdout
    return found + [line for line in running.splitlines() if "headrace serve" not in line and "pgrep" not in line]


def assert_nothing_left(data_dir: Path) -> None:
    wait_until(lambda: left_in(data_dir) == [])
    assert mounts_with(data_dir) == []


def started(server: "Server", **seconds: float) -> dict[str, Any]:
    project = server.project("slow")
    server.upload(project["id"], slow_project(seconds.get("install", 0), seconds.get("build", 0)))
    return server.build(project["id"])


@pytest.mark.parametrize("step", ["dependencies", "build"])
def test_a_build_outlives_the_servers_death_without_a_gap_in_its_log(
    server: "Server", data_dir: Path, step: str
) -> None:
    build = started(server, install=3 if step == "dependencies" else 0, build=3 if step == "build" else 0)
    server.until_event(build["id"], type="build.log", step=step, line=f"{step} 5")
    server.kill()
    time.sleep(1)
    server.start()
    ended = server.until_ended(build["id"], seconds=60)
    assert ended["status"] == "succeeded", ended["failure"]
    assert_log_is_whole(server, build["id"], step, lines=60)
    assert_nothing_left(data_dir)


def test_a_build_that_ended_while_no_server_was_there_is_finished_by_the_next_one(
    server: "Server", data_dir: Path
) -> None:
    build = started(server, build=1)
    server.until_event(build["id"], type="build.log", step="build", line="build 5")
    server.kill()
    time.sleep(3)
    server.start()
    assert server.until_ended(build["id"])["status"] == "succeeded"
    assert_log_is_whole(server, build["id"], "build", lines=20)
    assert_nothing_left(data_dir)


@pytest.mark.parametrize("step", ["source", "plan", "dependencies", "build", "verify", "artifact", "deploy"])
def test_death_at_any_step_leaves_a_build_that_finishes(server: "Server", data_dir: Path, step: str) -> None:
    build = started(server, install=0.2, build=0.2)
    server.until_event(build["id"], type="build.step.started", step=step)
    server.kill()
    server.start()
    ended = server.until_ended(build["id"], seconds=60)
    assert ended["status"] == "succeeded", ended["failure"]
    assert_log_is_whole(server, build["id"], "build", lines=4)
    assert_nothing_left(data_dir)


@pytest.mark.parametrize("step", ["dependencies", "build"])
def test_a_cancelled_build_is_gone(server: "Server", data_dir: Path, step: str) -> None:
    build = started(server, install=60 if step == "dependencies" else 0, build=60 if step == "build" else 0)
    server.until_event(build["id"], type="build.log", step=step, line=f"{step} 1")
    assert server.cancel(build["id"]).is_success
    ended = server.until_ended(build["id"])
    assert ended["status"] == "cancelled"
    assert_nothing_left(data_dir)
    assert server.cancel(build["id"]).status_code == 200
    events = server.events(build["id"])
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


def test_a_stopped_server_leaves_its_builds_to_the_next_one(server: "Server", data_dir: Path) -> None:
    build = started(server, build=3)
    server.until_event(build["id"], type="build.log", step="build", line="build 5")
    server.stop()
    server.start()
    assert server.until_ended(build["id"])["status"] == "succeeded"
    assert_log_is_whole(server, build["id"], "build", lines=60)
    assert_nothing_left(data_dir)
