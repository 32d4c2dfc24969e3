"""Databases that are made, and older ones that are brought up to date."""

import asyncio
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine, text

from endurance.programs import begin, fresh, promise, ready
from headrace.disk import replace_file
from headrace.model.digest import digest_of
from headrace.records import schema
from headrace.records.database import Database, sqlite_url

#: Of so many, what was promised is checked.
_KEPT = 3
_INSTALLATION = "of before"


def run(directory: Path, times: int) -> None:
    old = _old_database(directory / "old.db")
    ready()
    asyncio.run(_open_many(directory, old, times))


async def _open_many(directory: Path, old: bytes, times: int) -> None:
    for number in range(times):
        shutil.rmtree(directory / str(number - _KEPT - 1), ignore_errors=True)
        place = directory / str(number)
        place.mkdir()
        # Every other one has been there before.
        if number % 2:
            replace_file(place / "headrace.db", old)
        promise(f"{number} {await _opened(place)}")


def check(directory: Path, promised: Sequence[str], *, rebooted: bool) -> None:
    asyncio.run(_check_databases(directory, promised))


async def _check_databases(directory: Path, promised: Sequence[str]) -> None:
    kept = dict(line.split(" ", 1) for line in promised[-_KEPT:])
    wanted = await _shape_of_new(directory / "new")
    for number in (*kept, str(len(promised))):
        path = directory / number / "headrace.db"
        is_old = int(number) % 2 == 1
        if number not in kept and not path.exists():
            continue
        installation = await _opened(path.parent)
        assert number not in kept or installation == kept[number], f"{path} is another one"
        assert not is_old or installation == _INSTALLATION
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
            assert _shape(db) == wanted, f"{path} is half an old and half a new one"
            rows = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("projects", "versions")]  # noqa: S608 - two names of ours
        assert rows == ([1, 20] if is_old else [0, 0]), f"{path} has {rows} rows"


async def _opened(place: Path) -> str:
    """Which installation's it is, once it is up to date."""
    db = await Database.open(sqlite_url(place / "headrace.db"))
    try:
        async with db.read() as c:
            return str((await c.execute(text("SELECT value FROM meta WHERE name = 'installation'"))).scalar())
    finally:
        await db.close()


def _old_database(path: Path) -> bytes:
    """One of the first schema, with rows."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        schema.migrate(connection, to="0001")
    engine.dispose()
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO meta VALUES ('installation', ?)", (_INSTALLATION,))
        rest = '{"name":"Shop","created_at":"2026-01-01T00:00:00.000+00:00"}'
        db.execute("INSERT INTO projects (id, workspace, slug, rest) VALUES ('prj_1', 'default', 'shop', ?)", (rest,))
        for number in range(20):
            tree = digest_of(b"%d" % number)
            rest = '{"files":1,"bytes":1,"created_at":"2026-01-01T00:00:00.000+00:00"}'
            row = (f"ver_{number:026}", "prj_1", tree, rest)
            db.execute("INSERT INTO versions VALUES (?, ?, ?, ?)", row)
        db.commit()
    return path.read_bytes()


async def _shape_of_new(place: Path) -> set[tuple[str, ...]]:
    await _opened(fresh(place))
    with closing(sqlite3.connect(place / "headrace.db")) as db:
        return _shape(db)


def _shape(db: sqlite3.Connection) -> set[tuple[str, ...]]:
    """Tables with their columns, and indexes."""
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    columns = {
        (table, *map(str, column[1:4])) for table in names for column in db.execute(f"PRAGMA table_info({table})")
    }
    return columns | {(name,) for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}


if __name__ == "__main__":
    begin(run, check)
