"""Warm builds of a real project of Vite: after each answer the output is looked at as a visitor would see it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from headrace.model.preview import PreviewMode
from headrace.preview.drivers.vite import ViteDriver

if TYPE_CHECKING:
    from tests.unit.preview.drivers.conftest import Installed, Run, Running

pytestmark = [pytest.mark.network, pytest.mark.asyncio(loop_scope="module")]

APP = "src/App.tsx"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one(run: Run, installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Running:
    project = installed.copy("react-vite", tmp_path_factory.mktemp("build") / "react")
    running = await run(ViteDriver(), project, PreviewMode.BUILD)
    first = await running.builder.first()
    assert first.ok, first
    return running


@pytest_asyncio.fixture(loop_scope="module")
async def running(one: Running) -> Running:
    await one.reset()
    return one


def served(running: Running, ending: str) -> str:
    """The text of the output's only file of a kind."""
    (found,) = (running.project / running.plan.output).rglob(f"*{ending}")
    return found.read_text()


def output(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


async def test_each_answer_means_that_the_output_holds_the_edit(running: Running) -> None:
    original = running.text(APP)
    for number in range(12):
        outcome = await running.write({APP: original.replace("Get started", f"Edit number {number}.")})
        assert outcome.ok
        assert outcome.output_changed
        assert f"Edit number {number}." in served(running, ".js")


async def test_several_files_of_one_change_are_there_together(running: Running) -> None:
    for number in range(3):
        files = {f"src/part{part}.ts": f"export default 'part {part} of {number};'" for part in range(5)}
        imports = "".join(f"import part{part} from './part{part}'; console.log(part{part});\n" for part in range(5))
        original = running.text(APP) if number else imports + running.text(APP)
        assert (await running.write({APP: original, **files})).ok
        script = served(running, ".js")
        assert all(f"part {part} of {number};" in script for part in range(5))


async def test_after_many_edits_the_output_is_what_a_build_makes(running: Running) -> None:
    for number in range(4):
        assert (await running.edit(APP, "Get started" if number == 0 else f"No {number - 1}", f"No {number}")).ok
    await running.write({"public/new.txt": "new"}, ["public/favicon.svg"])
    await running.edit("src/App.css", "font-size: 16px", "font-size: 17px")
    warm_output = output(running.project / "dist")
    subprocess.run(
        ["node_modules/.bin/vite", "build", "--outDir", "fresh"], cwd=running.project, check=True, capture_output=True
    )
    assert output(running.project / "fresh") == warm_output


async def test_a_syntax_error_has_its_place_and_the_next_good_edit_recovers(running: Running) -> None:
    before = served(running, ".js")
    outcome = await running.edit(APP, "return (", "return ((")
    (found,) = outcome.diagnostics
    assert not outcome.ok
    assert (found.tool, found.file, found.line, found.column) == ("vite", APP, 120, 1)
    assert "Expected `,` or `)`" in found.message
    assert "Opened here" in (found.excerpt or "")
    assert outcome.message.startswith(f"{APP}:120:1: Expected")
    assert served(running, ".js") == before
    assert (await running.edit(APP, "return ((", "return (")).ok


async def test_an_import_that_is_not_there_is_found_and_the_file_that_was_missing_repairs_it(running: Running) -> None:
    outcome = await running.write({APP: "import { word } from './word';\nconsole.log(word);\n" + running.text(APP)})
    (found,) = outcome.diagnostics
    assert (found.file, found.line, found.code) == (APP, 1, "UNRESOLVED_IMPORT")
    assert (await running.write({"src/word.ts": "export const word = 'the word.'"})).ok
    assert "the word." in served(running, ".js")
    outcome = await running.write({}, removed=["src/word.ts"])
    assert (outcome.ok, outcome.diagnostics[0].file) == (False, APP)


async def test_an_error_in_a_style_sheet_has_its_place(running: Running) -> None:
    outcome = await running.write({"src/App.css": ".a {\n  color red;\n}\n"})
    (found,) = outcome.diagnostics
    assert (found.file, found.line, found.column) == ("src/App.css", 2, 9)


async def test_a_file_without_effect_is_answered_without_a_build(running: Running) -> None:
    outcome = await running.write({"README.md": "# new", "docs/LICENSE": "mine"})
    assert (outcome.ok, outcome.output_changed) == (True, False)


async def test_prose_that_is_imported_has_an_effect(running: Running) -> None:
    await running.write(
        {"notes/a.md": "one.", APP: "import a from '../notes/a.md?raw';\nconsole.log(a);\n" + running.text(APP)}
    )
    assert (await running.write({"notes/a.md": "two."})).output_changed
    assert "two." in served(running, ".js")


async def test_an_unused_source_file_changes_nothing_that_is_served(running: Running) -> None:
    outcome = await running.write({"src/unused.ts": "export const unused = 1"})
    assert (outcome.ok, outcome.output_changed) == (True, False)


async def test_files_that_a_pattern_finds_come_and_go(running: Running) -> None:
    glob = "const all = import.meta.glob('./pages/*.ts', { eager: true });\nconsole.log(all);\n"
    assert (await running.write({APP: glob + running.text(APP)})).ok
    assert (await running.write({"src/pages/one.ts": "export default 'page one.'"})).output_changed
    assert "page one." in served(running, ".js")
    assert (await running.write({}, removed=["src/pages/one.ts"])).output_changed
    assert "page one." not in served(running, ".js")


async def test_public_files_and_the_page_itself_follow(running: Running) -> None:
    assert (await running.write({"public/deep/robots.txt": "one"})).output_changed
    assert (running.project / "dist/deep/robots.txt").read_text() == "one"
    await running.write({}, removed=["public/deep/robots.txt"])
    assert not (running.project / "dist/deep/robots.txt").exists()
    assert (await running.edit("index.html", "<title>", "<title>New: ")).output_changed
    assert "<title>New: " in served(running, ".html")


async def test_the_configuration_is_taken_up_by_the_running_program(running: Running) -> None:
    await running.write({APP: "console.log(__WORD__);\n" + running.text(APP)})
    config = running.text("vite.config.ts")
    assert (
        await running.write(
            {"vite.config.ts": config.replace("plugins", "define: { __WORD__: '\"defined.\"' }, plugins")}
        )
    ).ok
    assert "defined." in served(running, ".js")
    broken = await running.write({"vite.config.ts": "export default {{"})
    assert (broken.ok, broken.diagnostics[0].file) == (False, "vite.config.ts")
    assert (await running.write({"vite.config.ts": config})).ok


async def test_a_source_map_is_made_when_it_is_asked_for(running: Running) -> None:
    (script,) = (running.project / "dist/assets").glob("*.js")
    found = await running.builder.source_map(f"assets/{script.name}")
    assert found is not None
    assert any(source.endswith(APP) for source in json.loads(found)["sources"])
    assert await running.builder.source_map("assets/other.js") is None
    assert list((running.project / "dist").rglob("*.map")) == []


async def test_a_program_that_is_gone_is_said_at_once(run: Run, react: Path) -> None:
    running = await run(ViteDriver(), react, PreviewMode.BUILD)
    assert (await running.builder.first()).ok
    running.link.process.kill()
    running.link.process.wait()
    outcome = await running.edit(APP, "Get started", "Gone")
    assert not outcome.ok
    assert "Vite is gone" in outcome.message


async def test_a_project_that_is_broken_from_the_start_says_where(run: Run, react: Path) -> None:
    (react / APP).write_text("export default function (\n")
    running = await run(ViteDriver(), react, PreviewMode.BUILD)
    first = await running.builder.first()
    assert (first.ok, first.diagnostics[0].file) == (False, APP)
    assert (await running.write({APP: "export default () => 'whole.'"})).ok
    assert "whole." in served(running, ".js")
