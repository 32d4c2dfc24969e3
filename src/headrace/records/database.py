"""
The database: readers that can't write, and writers that hold the write lock from their first statement.

A deferred SQLite transaction that reads and then writes can lose its turn at once, whatever the busy timeout, and two
of them can claim the same row. So every write transaction is `BEGIN IMMEDIATE`, and a connection from `read` refuses
to write at all.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self

import orjson
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from headrace.errors import DatabaseUnusable, HeadraceError, StoreFull, Unavailable
from headrace.records import schema

#: What a transaction gives to queries.
Transaction = AsyncConnection

#: How long a writer waits for another process's write transaction.
BUSY_SECONDS = 5.0


def sqlite_url(path: Path) -> str:
    return str(URL.create("sqlite+aiosqlite", database=str(path)))


class Database:
    """An open database. `read` and `write` may be used from any number of tasks; they don't nest."""

    def __init__(self, readers: AsyncEngine, writers: AsyncEngine, path: Path | None) -> None:
        self._readers = readers
        self._writers = writers
        self._lazy_writers = writers.execution_options(durable=False)
        #: The SQLite file, or None for a server.
        self.path = path
        self._inode = path.stat().st_ino if path is not None and path.exists() else None

    @classmethod
    async def open(cls, url: str, *, busy_seconds: float = BUSY_SECONDS) -> Self:
        """
        Open the database and bring its schema up to date. A SQLite file that was never there is created; one that was
        there and is gone, empty, damaged or another installation's raises DatabaseUnusable.
        """
        address = make_url(url)
        if address.get_backend_name() == "sqlite":
            return await cls._open_sqlite(address.set(drivername="sqlite+aiosqlite"), busy_seconds)
        engine = create_async_engine(address, **_JSON)
        readers = engine.execution_options(isolation_level="AUTOCOMMIT")
        database = cls(readers, engine, None)
        await database._prepare()
        return database

    @classmethod
    async def _open_sqlite(cls, address: URL, busy_seconds: float) -> Self:
        path = Path(address.database or "").absolute()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        schema.refuse_lost(path)
        # One writer in this process: waiting in our own queue is fair, waiting for SQLite's lock is a race of sleeps.
        writers = _sqlite_engine(address, busy_seconds, size=1)
        readers = _sqlite_engine(
            address, busy_seconds, size=4, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True
        )
        event.listen(writers.sync_engine, "connect", _configure)
        event.listen(writers.sync_engine, "begin", _begin_immediate)
        event.listen(readers.sync_engine, "connect", _configure_reader)
        database = cls(readers, writers, path)
        await database._prepare()
        database._inode = path.stat().st_ino
        return database

    async def _prepare(self) -> None:
        try:
            async with schema.only_one(self.path):
                with translated():
                    await schema.prepare(self._writers, self.path)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self._readers.dispose()
        if self._writers is not self._readers:
            await self._writers.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for queries. Each sees what is committed when it runs."""
        with translated():
            async with self._readers.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, *, durable: bool = True) -> AsyncIterator[AsyncConnection]:
        """
        A transaction that holds the write lock; committed at the end, rolled back by an exception. On the disk then, unless it
        need not be `durable`: what can be found again elsewhere, such as in an event log, may be lost with the power.
        """
        self._refuse_replaced()
        with translated():
            async with (self._writers if durable else self._lazy_writers).begin() as connection:
                yield connection

    async def check(self) -> None:
        """Raises when the database can't be read or its file is not the one that was opened."""
        self._refuse_replaced()
        async with self.read() as connection:
            await connection.execute(text("SELECT 1 FROM meta"))

    def _refuse_replaced(self) -> None:
        # SQLite would go on writing into the file that has no name any more, and all of it would be lost at exit.
        if self.path is None:
            return
        try:
            inode = self.path.stat().st_ino
        except OSError:
            inode = None
        if inode != self._inode:
            raise DatabaseUnusable(
                f"the database file {self.path.name} was replaced while it was in use", hint="restart Headrace"
            )


_JSON: dict[str, Any] = {
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    "json_deserializer": orjson.loads,
}


def _sqlite_engine(address: URL, busy_seconds: float, *, size: int, **options: Any) -> AsyncEngine:
    return create_async_engine(
        address,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=6 * busy_seconds,
        # The driver's own transactions are off: `_begin_immediate` starts ours.
        connect_args={"isolation_level": None, "timeout": busy_seconds},
        **_JSON,
        **options,
    )


def _configure(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _configure_reader(connection: DBAPIConnection, record: object) -> None:
    _configure(connection, record)
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only=ON")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    wanted = "FULL" if connection.get_execution_options().get("durable", True) else "NORMAL"
    if connection.info.get("synchronous") != wanted:
        connection.exec_driver_sql(f"PRAGMA synchronous={wanted}")
        connection.info["synchronous"] = wanted
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def translated() -> Iterator[None]:
    """Driver errors become ours, by what can be done about them. A broken constraint is for the query's author."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as exc:
        raise _translate(str(exc.orig)) from exc
    except PoolTimeout as exc:
        raise _busy() from exc


def _busy() -> Unavailable:
    return Unavailable("the database is busy", code="db.busy", hint="try again in a few seconds")


def _translate(said: str) -> HeadraceError:
    if "locked" in said or "busy" in said:
        return _busy()
    if "disk is full" in said or "No space left" in said:
        return StoreFull("no space is left for the database", hint="free some disk space; nothing stored was lost")
    if "disk I/O error" in said:
        return Unavailable(
            "the disk of the database does not answer as it should",
            code="storage.error",
            hint="look at the kernel's log; nothing that was acknowledged is lost",
        )
    if "not a database" in said or "malformed" in said or "encrypted" in said:
        return DatabaseUnusable("the database file is damaged or not a database", hint="restore it from a backup")
    if "readonly" in said or "unable to open" in said:
        return DatabaseUnusable("the database can't be opened for writing", hint="check the data directory's owner")
    return HeadraceError(f"the database refused a statement: {said}")
