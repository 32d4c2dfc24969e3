"""Development servers that misbehave: contained, explained, and gone when they are told to go."""

import json
import time
from pathlib import Path

import pytest
from tests.acceptance.previews.conftest import Preview, left_in
from tests.server import Server
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

#: Answers with what is in page.html at the time of the request.
GOOD = """
import { createServer } from 'node:http'
import { readFileSync } from 'node:fs'
createServer((_, answer) => answer.end(readFileSync('page.html'))).listen(process.env.PORT, '127.0.0.1')
"""


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"HEADRACE_PREVIEW_SANDBOX_BYTES": str(256 * 2**20)}


@pytest.fixture
def preview(server: Server) -> Preview:
    return Preview(server, server.project("unruly"))


def _project(program: str) -> dict[str, str | bytes | None]:
    package = {"name": "unruly", "private": True, "scripts": {"dev": "node dev.mjs", "build": "node build.mjs"}}
    return {"package.json": json.dumps(package), "dev.mjs": program, "page.html": "<h1>first</h1>"}


def test_any_server_that_listens_is_shown_and_sees_changes(preview: Preview) -> None:
    sent = preview.send(_project(GOOD))
    assert sent["status"] == "ready", sent
    assert sent["preview"]["driver"] == "command"
    assert "<h1>first</h1>" in preview.get().text
    assert preview.send({"page.html": "<h1>second</h1>"})["status"] == "ready"
    assert "<h1>second</h1>" in preview.get().text


def test_a_server_that_listens_late_is_waited_for(preview: Preview) -> None:
    late = GOOD.replace("createServer((", "setTimeout(() => createServer((") + ""
    late = late.replace(".listen(process.env.PORT, '127.0.0.1')", ".listen(process.env.PORT, '127.0.0.1'), 2000)")
    sent = preview.send(_project(late))
    assert sent["status"] == "ready", sent
    assert "first" in preview.get().text


def test_what_a_builder_reached_is_known_when_it_has_ended(preview: Preview) -> None:
    answer = preview.server.http.patch(f"/projects/{preview.id}", json={"settings": {"build_network": "internet"}})
    assert answer.is_success, answer.text
    knocks = "import { connect } from 'node:net'\nconst door = connect(3128, '127.0.0.1')\n"
    knocks += "door.write('CONNECT 169.254.169.254:80 HTTP/1.1\\r\\n\\r\\n')\n"
    assert preview.send(_project(knocks + GOOD))["status"] == "ready"
    wait_until(lambda: preview.events("egress.denied") != [], 30)
    preview.stop()
    wait_until(lambda: preview.events("egress.used") != [], 30)
    (use,) = preview.events("egress.used")
    assert (use["host"], use["port"], use["connections"], use["refused"]) == ("169.254.169.254", 80, 0, 1)


def test_a_server_that_dies_says_how_and_a_mended_one_is_shown(preview: Preview) -> None:
    sent = preview.send(_project("console.error('no database'); process.exit(3)"))
    assert sent["status"] == "error"
    assert "exited with 3" in sent["preview"]["message"]
    assert preview.events("preview.log")[-1]["line"] == "no database"
    answer = preview.get("/", Accept="application/json")
    assert answer.status_code >= 500
    assert preview.send({"dev.mjs": GOOD})["status"] == "ready"


def test_a_server_that_eats_memory_is_ended_and_others_go_on(preview: Preview, server: Server, data_dir: Path) -> None:
    greedy = GOOD + "setTimeout(() => { const held = []; for (;;) held.push(Buffer.alloc(1e6, 1)) }, 300)"
    preview.send(_project(greedy))
    wait_until(lambda: preview.state()["status"] in ("asleep", "error"), 60)
    ends = [event["message"] for event in (*preview.events("preview.asleep"), *preview.events("preview.failed"))]
    assert any("more memory than it may" in message for message in ends), ends
    assert server.http.get("/previews").is_success
    preview.stop()
    wait_until(lambda: left_in(data_dir) == [], 20)


def test_a_server_that_forks_without_end_is_gone_when_it_is_stopped(preview: Preview, data_dir: Path) -> None:
    forks = GOOD + (
        "import { spawn } from 'node:child_process'\n"
        "setInterval(() => { for (let n = 0; n < 50; n++) spawn('/bin/sh', ['-c', 'sleep 600 & sleep 600'],"
        " { detached: true, stdio: 'ignore' }).on('error', () => {}) }, 20)"
    )
    preview.send(_project(forks))
    assert preview.state()["status"] in ("ready", "error", "asleep", "building")
    preview.stop()
    wait_until(lambda: left_in(data_dir) == [], 20)


def test_a_server_that_prints_without_end_is_cut_and_still_answers(preview: Preview, server: Server) -> None:
    loud = GOOD + "const line = 'x'.repeat(1000) + '\\n'; setInterval(() => process.stdout.write(line.repeat(2000)), 5)"
    sent = preview.send(_project(loud))
    assert sent["preview"]["served_version"] == sent["version"], sent
    wait_until(lambda: _is_full(server, preview), 60)
    assert "first" in preview.get().text
    preview.stop()
    assert preview.events("log.truncated")[-1]["bytes"] > 0
    assert _log_size(server, preview) < 64 * 2**20


def _is_full(server: Server, preview: Preview) -> bool:
    """It takes nothing more, though the server prints."""
    before = _log_size(server, preview)
    time.sleep(1)
    return before > 14 * 2**20 and _log_size(server, preview) == before


def _log_size(server: Server, preview: Preview) -> int:
    return (server.data_dir / "logs" / f"{preview.id}.ndjson").stat().st_size


def test_a_page_that_fails_says_so(preview: Preview) -> None:
    failing = GOOD.replace(
        "answer.end(", "answer.writeHead(readFileSync('page.html').includes('bad') ? 500 : 200).end("
    )
    assert preview.send(_project(failing))["status"] == "ready"
    assert preview.send({"page.html": "<h1>bad</h1>"})["status"] == "error"
    assert preview.send({"page.html": "<h1>good</h1>"})["status"] == "ready"
