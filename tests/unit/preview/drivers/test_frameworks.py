"""Development servers of frameworks, for real: each is started, edited, broken and repaired."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from headrace.model.preview import PreviewMode
from headrace.preview.drivers.next import NextDriver
from headrace.preview.drivers.vite import ViteDriver

if TYPE_CHECKING:
    from tests.unit.preview.drivers.conftest import Installed, Run, Running

pytestmark = [pytest.mark.network, pytest.mark.asyncio(loop_scope="module")]


async def page(running: Running) -> str:
    async with httpx2.AsyncClient(timeout=60) as client:
        host = running.setup.host or "app.preview.example.com"
        return (await client.get(running.page, headers={"host": host, "accept": "text/html"})).text


async def test_next(run: Run, installed: Installed, tmp_path: Path) -> None:
    running = await run(NextDriver(), installed.copy("next", tmp_path / "next"), PreviewMode.DEV)
    first = await running.builder.first()
    assert first.ok, first
    assert "First words." in await page(running)
    assert (await running.edit("app/words.js", "First words.", "Second words.")).ok
    assert "Second words." in await page(running)
    broken = await running.edit("app/words.js", "</p>;", "</p")
    assert not broken.ok
    assert (broken.diagnostics[0].tool, broken.diagnostics[0].file) == ("next", "app/words.js")
    assert broken.diagnostics[0].line
    assert (await running.edit("app/words.js", "</p", "</p>;")).ok


async def test_sveltekit_by_vites_configuration(run: Run, installed: Installed, tmp_path: Path) -> None:
    running = await run(ViteDriver(), installed.copy("sveltekit", tmp_path / "sveltekit"), PreviewMode.DEV)
    first = await running.builder.first()
    assert first.ok, first
    assert "First page." in await page(running)
    path = "src/routes/+page.svelte"
    assert (await running.edit(path, "First page.", "Second page.")).ok
    assert "Second page." in await page(running)
    broken = await running.edit(path, "</h1>", "</h2>")
    assert not broken.ok
    assert (broken.diagnostics[0].file, broken.diagnostics[0].line) == (path, 5), broken.diagnostics
    assert (await running.edit(path, "</h2>", "</h1>")).ok
