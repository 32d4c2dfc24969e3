"""The development server of a real project of Vite: what a browser would get, and errors that are found without one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from headrace.model.preview import PreviewMode
from headrace.preview.base import Outcome
from headrace.preview.drivers.vite import ViteDriver

if TYPE_CHECKING:
    from tests.unit.preview.drivers.conftest import Installed, Run, Running

pytestmark = [pytest.mark.network, pytest.mark.asyncio(loop_scope="module")]

APP, STYLE = "src/App.tsx", "src/App.css"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one(run: Run, installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Running:
    project = installed.copy("react-vite", tmp_path_factory.mktemp("dev") / "react")
    running = await run(ViteDriver(), project, PreviewMode.DEV)
    first = await running.builder.first()
    assert first.ok, first
    return running


@pytest_asyncio.fixture(loop_scope="module")
async def running(one: Running) -> Running:
    await one.reset()
    return one


async def module(running: Running, path: str, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient() as client:
        return await client.get(f"{running.page}/{path}", headers=headers)


@asynccontextmanager
async def browser(running: Running) -> AsyncIterator[asyncio.Queue[dict[str, Any]]]:
    """Messages that a page would get."""
    address = running.page.replace("http", "ws")
    async with connect(address, subprotocols=["vite-hmr"]) as socket:  # type: ignore[list-item]  # a plain string, for typing
        assert json.loads(await socket.recv())["type"] == "connected"
        messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        async def listen() -> None:
            async for message in socket:
                messages.put_nowait(json.loads(message))

        listening = asyncio.create_task(listen())
        try:
            yield messages
        finally:
            listening.cancel()
            await asyncio.wait({listening})


async def test_each_answer_means_that_the_update_was_sent_and_the_new_module_is_served(running: Running) -> None:
    original = running.text(APP)
    async with browser(running) as messages:
        for number in range(10):
            outcome = await running.write({APP: original.replace("Get started", f"Edit number {number}.")})
            assert outcome.ok
            message = await asyncio.wait_for(messages.get(), 30)
            assert (message["type"], message["updates"][0]["path"]) == ("update", f"/{APP}")
            assert f"Edit number {number}." in (await module(running, APP)).text
        await asyncio.sleep(0.2)
        # The file system's own events of these writes are not told a second time.
        assert messages.empty()


async def test_what_takes_long_to_write_is_told_once(running: Running) -> None:
    async with browser(running) as messages:
        files = {APP: running.text(APP).replace("Get started", "Later."), STYLE: running.text(STYLE) + "#late {}"}
        assert (await running.write(files, pause=0.5)).ok
        await asyncio.sleep(0.2)
        told = [messages.get_nowait() for _ in range(messages.qsize())]
        assert [message["updates"][0]["path"] for message in told] == [f"/{APP}", f"/{STYLE}"]


async def test_a_file_that_a_tool_writes_beside_the_orders_is_noticed(running: Running) -> None:
    async with browser(running) as messages:
        text = running.text(APP).replace("Get started", "Written by a tool.")
        (running.project / APP).write_text(text)
        assert (await asyncio.wait_for(messages.get(), 20))["type"] == "update"
        assert "Written by a tool." in (await module(running, APP)).text


@pytest.mark.parametrize("pause", [number / 200 for number in range(14)])
async def test_a_tool_that_writes_a_file_right_behind_an_order_is_noticed(running: Running, pause: float) -> None:
    async with browser(running) as messages:
        text = running.text(APP)
        assert (await running.write({APP: text.replace("Get started", "Written by an order.")})).ok
        assert (await asyncio.wait_for(messages.get(), 30))["type"] == "update"
        await asyncio.sleep(pause)
        (running.project / APP).write_text(text.replace("Get started", "Written by a tool."))
        assert (await asyncio.wait_for(messages.get(), 30))["type"] == "update"
        assert "Written by a tool." in (await module(running, APP)).text


async def test_errors_are_found_without_a_browser_and_the_next_edit_recovers(running: Running) -> None:
    outcome = await running.edit(APP, "return (", "return ((")
    (found,) = outcome.diagnostics
    assert not outcome.ok
    assert (found.tool, found.file, found.line, found.column) == ("vite", APP, 120, 1)
    assert (await running.edit(APP, "return ((", "return (")).ok


async def test_a_missing_import_is_found_and_the_new_file_repairs_it(running: Running) -> None:
    outcome = await running.write({APP: "import { word } from './word';\nconsole.log(word);\n" + running.text(APP)})
    (found,) = outcome.diagnostics
    assert (found.file, found.line) == (APP, 1)
    assert "Failed to resolve import" in found.message
    assert (await running.write({"src/word.ts": "export const word = 'the word.'"})).ok
    assert (await module(running, APP)).status_code == 200
    outcome = await running.write({}, removed=["src/word.ts"])
    assert (outcome.ok, outcome.diagnostics[0].file) == (False, APP)


async def test_an_error_that_is_repaired_at_once_is_not_told_of_the_repair(running: Running) -> None:
    whole = running.text(APP)
    for number in range(10):
        assert (
            await running.write(
                {f"src/word{number}.ts": "export const word = 1", APP: f"import './word{number}'\n{whole}"}
            )
        ).ok
        assert not (await running.write({}, removed=[f"src/word{number}.ts"])).ok
        outcome = await running.write({APP: whole})
        assert outcome.ok, outcome


async def test_an_error_deeper_than_the_file_that_changed_is_found(running: Running) -> None:
    files = {"src/deep.ts": "import './deeper';", "src/deeper.ts": "const broken = ;"}
    outcome = await running.write({**files, APP: "import './deep';\n" + running.text(APP)})
    assert [(one.file, one.line) for one in outcome.diagnostics] == [("src/deeper.ts", 1)]


async def test_every_name_of_the_page_is_answered(running: Running) -> None:
    answer = await module(running, "", host="shop.preview.example.com", accept="text/html")
    assert answer.status_code == 200
    assert "/@vite/client" in answer.text


async def test_what_nothing_uses_is_answered_at_once(running: Running) -> None:
    outcome = await running.write({"README.md": "# new"})
    assert (outcome.ok, outcome.output_changed) == (True, False)


async def test_the_configuration_is_taken_up_by_the_running_server(running: Running) -> None:
    await running.write({APP: "console.log(__WORD__);\n" + running.text(APP)})
    config = running.text("vite.config.ts")
    changed = config.replace(
        "plugins", "define: { __WORD__: '\"defined.\"' }, server: { https: {}, hmr: { clientPort: 9 } }, plugins"
    )
    assert (await running.write({"vite.config.ts": changed})).ok
    assert (await running.edit(APP, "Get started", "Later")).ok
    assert "defined." in (await module(running, "@vite/client")).text + (await module(running, "@vite/env")).text
    broken = await running.write({"vite.config.ts": "export default {{"})
    assert not broken.ok


async def test_a_source_map_of_a_served_module_is_known(running: Running) -> None:
    await module(running, APP)
    found = await running.builder.source_map(APP)
    assert found is not None
    assert json.loads(found)["mappings"]


async def test_what_a_visitor_runs_into_later_is_told(running: Running) -> None:
    told: asyncio.Queue[Outcome] = asyncio.Queue()
    running.builder.on_error(told.put_nowait)
    # No page imports it, so only the visitor who asks for it finds the error.
    await running.write({"src/lonely.ts": "const broken = ;"})
    assert (await module(running, "src/lonely.ts")).status_code == 500
    outcome = await asyncio.wait_for(told.get(), 20)
    assert (outcome.ok, outcome.diagnostics[0].file) == (False, "src/lonely.ts")


async def test_a_server_that_is_gone_is_said_at_once(run: Run, react: Path) -> None:
    (react / APP).write_text("export default function (\n")
    running = await run(ViteDriver(), react, PreviewMode.DEV)
    first = await running.builder.first()
    assert (first.ok, first.diagnostics[0].file) == (False, APP)
    running.link.process.kill()
    running.link.process.wait()
    assert "Vite is gone" in (await running.write({APP: "export default 1"})).message
