"""Opening a database: made once, checked at each start, never silently replaced by an empty one."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from headrace.errors import DatabaseUnusable, HeadraceError, StoreFull, Unavailable
from headrace.records import schema
from headrace.records.database import Database, sqlite_url
from headrace.records.tables import SCHEMA, metadata


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "headrace.db"


@pytest.fixture
async def db(path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(sqlite_url(path))
    yield opened
    await opened.close()


async def open_and_close(path: Path) -> None:
    await (await Database.open(sqlite_url(path))).close()


def installation(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("SELECT value FROM meta WHERE name = 'installation'").fetchone()[0])
    finally:
        connection.close()


async def refusal(path: Path) -> str:
    with pytest.raises(DatabaseUnusable) as caught:
        await open_and_close(path)
    assert caught.value.hint
    return caught.value.message


async def test_a_second_opening_finds_the_first_ones_database(path: Path) -> None:
    await open_and_close(path)
    first = installation(path)
    await open_and_close(path)
    assert installation(path) == first


async def test_ten_openings_at_once_make_one_database(path: Path) -> None:
    opened = await asyncio.gather(*(Database.open(sqlite_url(path)) for _ in range(10)))
    for database in opened:
        await database.check()
        await database.close()


async def test_a_database_that_is_gone_is_not_made_anew(path: Path) -> None:
    await open_and_close(path)
    path.unlink()
    assert "is gone" in await refusal(path)
    assert not path.exists()


async def test_an_emptied_database_is_refused(path: Path) -> None:
    await open_and_close(path)
    path.write_bytes(b"")
    assert "is gone" in await refusal(path)


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"notes about headrace\n" * 500)
    assert "not a database" in await refusal(path)
    assert path.read_bytes().startswith(b"notes")


async def test_a_damaged_database_is_refused(path: Path) -> None:
    await open_and_close(path)
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])
    assert "not a database" in await refusal(path)


async def test_another_programs_database_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    assert "recipes" in await refusal(path)


async def test_another_installations_database_is_refused(path: Path, tmp_path: Path) -> None:
    await open_and_close(path)
    other = tmp_path / "other" / "headrace.db"
    await open_and_close(other)
    path.write_bytes(other.read_bytes())
    assert "another installation" in await refusal(path)


async def test_a_directory_in_its_place_is_refused(path: Path) -> None:
    path.mkdir()
    assert "not a file" in await refusal(path)


async def test_a_newer_schema_is_refused_with_both_numbers(path: Path) -> None:
    await open_and_close(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    message = await refusal(path)
    assert "9999" in message
    assert SCHEMA in message


async def test_a_file_that_is_replaced_under_an_open_database_stops_all_writing(db: Database, path: Path) -> None:
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)
    with pytest.raises(DatabaseUnusable, match="replaced"):
        async with db.write():
            pass
    with pytest.raises(DatabaseUnusable, match="replaced"):
        await db.check()


async def test_migrations_make_the_same_schema_as_the_tables(path: Path, tmp_path: Path) -> None:
    await open_and_close(path)
    migrated = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with migrated.connect() as connection:
        schema.migrate(connection)
    made = create_engine(f"sqlite:///{path}")
    assert shape(str(migrated.url)) == shape(str(made.url))
    migrated.dispose()
    made.dispose()


def shape(url: str) -> dict[str, object]:
    engine = create_engine(url)
    seen = inspect(engine)
    tables = {
        table: (
            sorted((c["name"], str(c["type"]), c["nullable"], c["default"]) for c in seen.get_columns(table)),
            sorted((str(i["name"]), str(i["column_names"])) for i in seen.get_indexes(table)),
            sorted(str(key) for key in seen.get_foreign_keys(table)),
            str(seen.get_pk_constraint(table)["constrained_columns"]),
            sorted(str(unique["column_names"]) for unique in seen.get_unique_constraints(table)),
        )
        for table in seen.get_table_names()
    }
    with engine.connect() as connection:
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    engine.dispose()
    return {**tables, "version": version}


def test_opening_a_database_that_is_up_to_date_does_not_import_alembic(path: Path) -> None:
    script = (
        "import asyncio, sys, pathlib\n"
        "from headrace.records.database import Database, sqlite_url\n"
        "async def run():\n"
        "    await (await Database.open(sqlite_url(pathlib.Path(sys.argv[1])))).close()\n"
        "asyncio.run(run()); sys.exit('alembic' in sys.modules)\n"
    )
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 0


def test_the_tables_are_plain_enough_for_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=dialect))


async def test_a_reader_refuses_to_write(db: Database) -> None:
    with pytest.raises(HeadraceError, match=r"readonly|can't be opened for writing"):
        async with db.read() as c:
            await c.execute(text("DELETE FROM builds"))


async def test_a_transaction_that_raises_leaves_nothing(db: Database) -> None:
    async def broken() -> None:
        async with db.write() as c:
            await c.execute(text("INSERT INTO meta VALUES ('a', 'b')"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken()
    async with db.read() as c:
        assert (await c.execute(text("SELECT count(*) FROM meta WHERE name = 'a'"))).scalar() == 0


async def test_a_writer_waits_for_another_processs_transaction(db: Database, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    asyncio.get_running_loop().call_later(0.3, other.execute, "COMMIT")
    async with db.write() as c:
        await c.execute(text("INSERT INTO meta VALUES ('a', 'b')"))
    other.close()


async def test_a_database_that_stays_locked_is_busy_and_not_broken(path: Path) -> None:
    db = await Database.open(sqlite_url(path), busy_seconds=0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable) as caught:
        async with db.write():
            pass
    assert (caught.value.exact_code, caught.value.http_status) == ("db.busy", 503)
    other.execute("COMMIT")
    other.close()
    async with db.write() as c:
        await c.execute(text("INSERT INTO meta VALUES ('a', 'b')"))
    await db.close()


async def test_a_full_disk_loses_nothing_that_was_committed(db: Database, path: Path) -> None:
    async with db.write() as c:
        await c.execute(text("INSERT INTO meta VALUES ('kept', 'x')"))
        # SQLite's own limit raises what a full disk raises.
        await c.execute(text("PRAGMA max_page_count = 1"))
    with pytest.raises(StoreFull):
        async with db.write() as c:
            await c.execute(text("INSERT INTO meta VALUES ('lost', :much)"), {"much": "x" * 1_000_000})
    async with db.write() as c:
        await c.execute(text("PRAGMA max_page_count = 1000000"))
        assert (await c.execute(text("PRAGMA integrity_check"))).scalar() == "ok"
        assert (await c.execute(text("SELECT name FROM meta WHERE name IN ('kept', 'lost')"))).scalars().all() == [
            "kept"
        ]


async def test_the_database_is_set_up_as_designed(db: Database) -> None:
    # What is written is on the disk when it is acknowledged, unless an event log has it too.
    for connected, synchronous in ((db.read(), 1), (db.write(), 2), (db.write(durable=False), 1)):
        async with connected as c:
            said = [
                (await c.execute(text(f"PRAGMA {name}"))).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
            assert said == ["wal", synchronous, 1]
            assert (await c.execute(text("PRAGMA busy_timeout"))).scalar() == 5000
