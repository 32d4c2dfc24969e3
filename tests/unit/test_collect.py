"""Garbage collection: what is named stays, also when it is a difference to what nobody names any more."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from headrace.bootstrap import open_services
from headrace.collect import collect_blobs
from headrace.model.ids import made_at, new_id
from headrace.model.project import Project
from headrace.model.version import Author, Source, Version, VersionSource
from headrace.pipeline.services import Services
from headrace.pipeline.source import add_version
from headrace.records import projects
from headrace.settings import Settings
from headrace.source.base import Fetched
from headrace.tree import load_tree, write_tree

LINES = [f"line {number} of {number * number * 7919}" for number in range(200)]


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    async with open_services(Settings(data_dir=tmp_path / "data", executor="fake")) as opened:
        yield opened


async def new_project(services: Services, slug: str, source: Source | None = None) -> Project:
    made = new_id("prj")
    project = Project(id=made, workspace="default", name=slug, slug=slug, source=source, created_at=made_at(made))
    async with services.db.write() as c:
        await projects.insert(c, project)
    return project


async def new_version(services: Services, project: Project, root: Path, line: int) -> Version:
    root.mkdir(exist_ok=True)
    (root / "same.txt").write_text("\n".join(LINES))
    (root / "page.txt").write_text("\n".join([*LINES[:line], f"changed {line}", *LINES[line:]]))
    return await add_version(services, project, Fetched(root=root, author=Author(kind="user", name="x")))


async def collect(services: Services) -> int:
    """As if everything had been put long ago."""
    with closing(sqlite3.connect(services.settings.data_dir / "blobs/packed.db", isolation_level=None)) as packed:
        packed.execute("UPDATE blob SET put_at = 1")
    return (await collect_blobs(services)).blobs


async def test_a_version_outlives_the_one_that_it_was_stored_as_a_difference_to(
    services: Services, tmp_path: Path
) -> None:
    template = await new_project(services, "template")
    first = await new_version(services, template, tmp_path / "root", 3)
    second = await new_version(services, template, tmp_path / "root", 90)
    copy = await new_project(services, "copy", VersionSource(version=second.id))
    third = await new_version(services, copy, tmp_path / "root", 150)
    assert await collect(services) == 0

    async with services.db.write() as c:
        await projects.delete(c, template.id)
    # Two trees and what page.txt held in them.
    assert await collect(services) == 4
    assert await services.store.missing([first.tree, second.tree]) == {first.tree, second.tree}
    await write_tree(services.store, await load_tree(services.store, third.tree), tmp_path / "out")
    assert (tmp_path / "out/page.txt").read_text() == (tmp_path / "root/page.txt").read_text()

    async with services.db.write() as c:
        await projects.delete(c, copy.id)
    assert await collect(services) == 3
    with closing(sqlite3.connect(services.settings.data_dir / "blobs/packed.db")) as packed:
        assert packed.execute("SELECT count(*) FROM blob").fetchone() == (0,)


async def test_versions_share_what_is_alike(services: Services, tmp_path: Path) -> None:
    project = await new_project(services, "shop")
    for line in range(0, 200, 10):
        await new_version(services, project, tmp_path / "root", line)
    with closing(sqlite3.connect(services.settings.data_dir / "blobs/packed.db")) as packed:
        stored = packed.execute("SELECT sum(length(data)) FROM blob").fetchone()[0]
    assert stored < 20_000
    assert await collect(services) == 0
