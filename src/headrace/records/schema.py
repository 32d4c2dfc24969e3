"""
The schema's version: checked with one query at start, migrated only when something is to do.

A new database is made from the tables at once, since running every migration on nothing gives the same (a test
compares them). Alembic is imported for a database that is older than this code, and for nothing else.
"""

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, insert, inspect, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from headrace.disk import replace_file
from headrace.errors import DatabaseUnusable
from headrace.model.ids import new_id
from headrace.records.tables import SCHEMA, meta, metadata

MIGRATIONS = Path(__file__).parent / "migrations"


def refuse_lost(path: Path) -> None:
    """
    Raise when a database was at `path` before and is not now.

    The file beside it that names the installation tells a first start from a loss; SQLite alone would make a new, empty
    database and call it a success.
    """
    if _marker(path).exists() and (not path.exists() or path.stat().st_size == 0):
        raise DatabaseUnusable(
            f"the database {path} is gone, but this data directory was used before",
            hint=f"restore it from a backup, or remove {_marker(path)} to start anew",
        )
    if path.exists() and not path.is_file():
        raise DatabaseUnusable(f"{path} is not a file", hint="move it away")


@asynccontextmanager
async def only_one(path: Path | None) -> AsyncIterator[None]:
    """One process at a time creates or migrates; the others wait and find it done."""
    if path is None:
        yield
        return
    try:
        lock = path.with_name(f"{path.name}.lock").open("w")
    except OSError as exc:
        raise DatabaseUnusable(f"{path.parent} can't be written: {exc.strerror}", hint="check its owner") from exc
    with lock:
        while not _locked(lock):  # noqa: ASYNC110 - another process holds it, no event can tell
            await asyncio.sleep(0.02)
        yield


def _locked(lock: IO[str]) -> bool:
    # Not a blocking call: the holder may be a task of this very event loop.
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def prepare(engine: AsyncEngine, path: Path | None) -> None:
    async with engine.connect() as connection:
        try:
            found = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar()
        except (OperationalError, ProgrammingError) as exc:
            if "alembic_version" not in str(exc.orig):
                raise
            found = None
        await connection.rollback()
    if found is None:
        async with engine.begin() as connection:
            await connection.run_sync(_create)
    elif found > SCHEMA:
        raise DatabaseUnusable(
            f"the database has schema {found}, and this Headrace knows {SCHEMA} at most",
            hint="run the newer Headrace that it was last used with",
        )
    elif found < SCHEMA:
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
    if path is not None:
        async with engine.connect() as connection:
            installation = (
                await connection.execute(text("SELECT value FROM meta WHERE name = 'installation'"))
            ).scalar()
            await connection.rollback()
        await asyncio.to_thread(_mark, path, str(installation))


def _create(connection: Connection) -> None:
    if strangers := inspect(connection).get_table_names():
        raise DatabaseUnusable(
            f"the database is not Headrace's: it has a table {sorted(strangers)[0]!r}", hint="use another file"
        )
    metadata.create_all(connection, checkfirst=False)
    connection.execute(insert(meta).values(name="installation", value=new_id("ws").removeprefix("ws_")))
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:number)"), {"number": SCHEMA})


def migrate(connection: Connection, to: str = "head") -> None:
    """Run the migrations that are missing."""
    from alembic import command  # noqa: PLC0415 - 0.3 s that a start without migrations doesn't pay
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _marker(path: Path) -> Path:
    return path.with_name(f"{path.name}.id")


def _mark(path: Path, installation: str) -> None:
    marker = _marker(path)
    if marker.exists() and (expected := marker.read_text().strip()) != installation:
        raise DatabaseUnusable(
            f"{path} is another installation's database ({installation}, expected {expected})",
            hint=f"put the right file back, or remove {marker} to use this one",
        )
    if not marker.exists():
        replace_file(marker, f"{installation}\n".encode())
