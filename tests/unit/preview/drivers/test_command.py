"""Dev scripts that are well-behaved, late, loud, elsewhere, broken or silent: real processes, without any framework."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headrace.model.preview import PreviewMode
from headrace.preview.base import Change
from headrace.preview.drivers._served import ServedBuilder
from headrace.preview.drivers.command import CommandDriver, with_port

if TYPE_CHECKING:
    from tests.unit.preview.drivers.conftest import Run, Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Answers with what `page.txt` holds; 500 when it holds nothing.
SERVER = """
const http = require('node:http'), fs = require('node:fs');
const server = http.createServer((request, response) => {
  const text = fs.readFileSync('page.txt', 'utf8');
  response.writeHead(text ? 200 : 500, { 'content-type': 'text/html' });
  response.end(text || '<h1>Nothing to show.</h1>');
});
const listen = (port = process.env.PORT) => server.listen(port, '127.0.0.1', () => {
  console.log('ready on http://localhost:' + server.address().port);
});
"""


async def started(run: Run, project: Path, script: str) -> Running:
    project.mkdir()
    manifest = {"scripts": {"dev": "node server.js", "build": "node build.js"}}
    (project / "package.json").write_text(json.dumps(manifest))
    (project / "page.txt").write_text("first")
    (project / "server.js").write_text(SERVER + script)
    return await run(CommandDriver(), project, PreviewMode.DEV)


async def test_a_server_on_the_port_that_it_was_given_follows_edits(run: Run, tmp_path: Path) -> None:
    running = await started(run, tmp_path / "plain", "listen();")
    first = await running.builder.first()
    assert (first.ok, first.page_port) == (True, running.setup.page_port)
    assert (await running.write({"page.txt": "second"})).ok
    broken = await running.write({"page.txt": ""})
    assert (broken.ok, broken.message.split(";")[0]) == (False, "the page answers 500: Nothing to show.")
    assert (await running.write({"page.txt": "third"})).ok


async def test_a_server_that_chooses_its_own_port_is_found_by_what_it_prints(run: Run, tmp_path: Path) -> None:
    running = await started(run, tmp_path / "elsewhere", "listen(0);")
    first = await running.builder.first()
    assert first.ok
    assert first.page_port != running.setup.page_port


async def test_a_server_that_is_late_and_prints_megabytes_is_waited_for(run: Run, tmp_path: Path) -> None:
    loud = "for (let n = 0; n < 40000; n++) console.log('x'.repeat(100)); setTimeout(listen, 500);"
    running = await started(run, tmp_path / "loud", loud)
    assert (await running.builder.first()).ok


async def test_a_server_that_dies_says_where_it_was_wrong(run: Run, tmp_path: Path) -> None:
    running = await started(run, tmp_path / "dies", "undefined.listen();")
    first = await running.builder.first()
    assert not first.ok
    assert "ended before it answered" in first.message
    assert (first.diagnostics[0].file, first.diagnostics[0].tool) == ("server.js", "node")


async def test_a_server_that_dies_later_is_missed(run: Run, tmp_path: Path) -> None:
    running = await started(run, tmp_path / "later", "listen();")
    assert (await running.builder.first()).ok
    running.link.process.kill()
    running.link.process.wait()
    outcome = await running.write({"page.txt": "second"})
    assert (outcome.ok, "ended" in outcome.message) == (False, True)


async def test_a_server_that_never_listens_is_not_waited_for_for_ever(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ServedBuilder, "first_seconds", 1.0)
    running = await started(run, tmp_path / "silent", "console.log('thinking'); setInterval(() => {}, 1000);")
    first = await running.builder.first()
    assert not first.ok
    assert "did not answer on port" in first.message
    assert "thinking" in first.message


async def test_a_server_that_accepts_and_never_answers_is_not_waited_for_for_ever(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ServedBuilder, "first_seconds", 1.0)
    running = await started(run, tmp_path / "mute", "require('node:net').createServer().listen(process.env.PORT);")
    assert not (await running.builder.first()).ok


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("astro dev", "astro dev --port 5 --host 127.0.0.1"),
        ("nuxt prepare && nuxt dev", "nuxt prepare && nuxt dev --port 5 --host 127.0.0.1"),
        ("vite --port 3000", "vite --port 3000"),
        ("node server.js", "node server.js"),
        ("astro dev | tee log", "astro dev | tee log"),
    ],
)
async def test_programs_are_told_their_port_the_way_they_know(script: str, expected: str) -> None:
    assert with_port(("sh", "-c", script), 5) == ("sh", "-c", expected)


async def test_what_servers_read_once_starts_them_anew(run: Run, tmp_path: Path) -> None:
    running = await started(run, tmp_path / "once", "listen();")
    driver = CommandDriver()
    assert driver.restarts(running.plan, Change(("astro.config.mjs",)))
    assert driver.restarts(running.plan, Change((), (".env.local",)))
    assert not driver.restarts(running.plan, Change(("src/page.astro",)))
