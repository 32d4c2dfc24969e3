"""A project that needs a server is never deployed, and its preview runs the server, from the first time on."""

import json

import pytest
from tests.acceptance.previews.conftest import Preview
from tests.server import Server

pytestmark = pytest.mark.sandbox

#: Reads no `PORT`, and listens on what `localhost` resolves to, as most development servers do.
PROGRAM = """\
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createApp, eventHandler, toNodeListener } from 'h3'

const app = createApp().use('/', eventHandler(() => readFileSync('words.html', 'utf8')))
createServer(toNodeListener(app)).listen(4321, 'localhost', () => console.log('  Local: http://localhost:4321/'))
"""
FILES: dict[str, str | bytes | None] = {
    "package.json": json.dumps(
        {"type": "module", "scripts": {"dev": "node server.js"}, "dependencies": {"h3": "1.15.4"}}
    ),
    "server.js": PROGRAM,
    "words.html": "<h1>first</h1>",
}


def test_its_dependencies_are_installed_and_its_server_is_shown(server: Server) -> None:
    preview = Preview(server, server.project("talk"))
    preview.send(FILES)
    preview.until("ready", 300)
    state = preview.state()
    assert (state["mode"], state["driver"]) == ("dev", "command")
    assert "first" in preview.get("/", Accept="text/html").text
    sent = preview.send({"words.html": "<h1>second</h1>"})
    assert sent["status"] == "ready", sent
    assert "second" in preview.get("/", Accept="text/html").text
