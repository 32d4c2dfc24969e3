"""Rows are small, and mean the same as before."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from headrace.model.digest import digest_of
from headrace.model.ids import made_at, new_id
from headrace.model.project import Project
from headrace.model.version import Author, Version
from headrace.records import projects, schema, versions
from headrace.records.database import Database, sqlite_url

TREE = digest_of(b"tree")


def project(**fields: object) -> Project:
    made = new_id("prj")
    given = {"id": made, "workspace": "default", "name": "Shop", "slug": "shop", "created_at": made_at(made), **fields}
    return Project.model_validate(given)


def version(of: Project, **fields: object) -> Version:
    made = new_id("ver")
    given = {"id": made, "project_id": of.id, "tree": TREE, "files": 2, "bytes": 30, "created_at": made_at(made)}
    return Version.model_validate({**given, "author": Author(kind="user", name="x"), **fields})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "headrace.db"


def stored(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


async def test_a_row_holds_no_default_and_no_time_that_its_id_says(path: Path) -> None:
    db = await Database.open(sqlite_url(path))
    one, other = project(), project(slug="other", created_at="2020-01-01T00:00:00.000+00:00")
    async with db.write() as c:
        for made in (one, other):
            await projects.insert(c, made)
    async with db.read() as c:
        assert [await projects.get(c, made.id) for made in (one, other)] == [one, other]
    await db.close()
    assert stored(path, "SELECT rest FROM projects WHERE slug = 'shop'") == [('{"name":"Shop"}',)]


async def test_a_version_of_before_is_read_after_the_migration(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        schema.migrate(connection, to="0001")
    engine.dispose()
    shop = project()
    before = [version(shop, message=f"change {number}") for number in range(1500)]
    with closing(sqlite3.connect(path)) as connection:
        row = (shop.id, shop.workspace, shop.slug, shop.model_dump_json(include={"name", "settings", "created_at"}))
        connection.execute("INSERT INTO projects (id, workspace, slug, rest) VALUES (?, ?, ?, ?)", row)
        connection.execute("INSERT INTO meta VALUES ('installation', 'x')")
        rows = [
            (one.id, shop.id, one.tree, one.model_dump_json(exclude={"id", "project_id", "tree"})) for one in before
        ]
        connection.executemany("INSERT INTO versions VALUES (?, ?, ?, ?)", rows)
        connection.commit()
    db = await Database.open(sqlite_url(path))
    async with db.read() as c:
        assert await projects.get(c, shop.id) == shop
        newest = sorted(before, key=lambda one: one.id)[::-1]
        assert await versions.page(c, shop.id, limit=2000) == newest
        assert await versions.page(c, shop.id, after=newest[700].id, limit=3) == newest[701:704]
        assert await versions.get(c, newest[9].id) == newest[9]
        assert await versions.all_trees(c) == {TREE}
    await db.close()


@pytest.mark.parametrize(
    "unknown", ["", "ver_", "nonsense", "ver_7zzzzzzzzzzzzzzzzzzzzzzzzz", "ver_zzzzzzzzzzzzzzzzzzzzzzzzzz"]
)
async def test_an_id_that_is_none_is_not_found(path: Path, unknown: str) -> None:
    db = await Database.open(sqlite_url(path))
    async with db.write() as c:
        await projects.insert(c, shop := project())
        await versions.insert(c, made := version(shop))
    async with db.read() as c:
        assert await versions.get(c, unknown) is None
        assert await versions.get(c, made.id) == made
    await db.close()


async def test_an_id_of_another_form_is_kept_as_it_is(path: Path) -> None:
    db = await Database.open(sqlite_url(path))
    async with db.write() as c:
        await projects.insert(c, shop := project())
        for name in ("ver_1", "ver_2"):
            await versions.insert(c, version(shop, id=name))
    async with db.read() as c:
        assert [one.id for one in await versions.page(c, shop.id)] == ["ver_2", "ver_1"]
    await db.close()


async def test_projects_of_any_workspace_are_listed_by_an_index(path: Path) -> None:
    await (await Database.open(sqlite_url(path))).close()
    queries = {
        "projects WHERE workspace = 'x' AND workspace <> 'default' ORDER BY id DESC": "ix_projects_other_workspaces",
        "projects WHERE workspace = 'default' ORDER BY id DESC": "sqlite_autoindex_projects",
        "projects WHERE workspace = 'x' AND source_digest = 'y' ORDER BY id DESC": "ix_projects_source",
        "versions WHERE project_id = 'x' ORDER BY id DESC": "ix_versions_newest",
        "versions WHERE project_id = 'x' AND trust = 0 ORDER BY id DESC": "ix_versions_newest",
    }
    for query, index in queries.items():
        assert index in str(stored(path, f"EXPLAIN QUERY PLAN SELECT * FROM {query}")), query  # noqa: S608 - ours


async def test_the_hundredth_project_of_one_name_finds_a_slug(path: Path) -> None:
    db = await Database.open(sqlite_url(path))
    async with db.write() as c:
        for number in range(1, 101):
            slug = await projects.free_slug(c, "shop")
            assert slug == ("shop" if number == 1 else f"shop-{number}")
            await projects.insert(c, project(slug=slug))
        assert await projects.free_slug(c, "sho") == "sho"
    await db.close()
