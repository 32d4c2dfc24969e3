"""
The file `packed.db` of a store: its tables, its connections, and transactions that many callers share.

Readers have a connection each and wait for nobody. Of several threads with something to write, one takes the changes of all
that wait and commits them together, with one flush to the disk. SQLite's lock stands between processes.
"""

import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from headrace.disk import sync_directory
from headrace.errors import DatabaseUnusable, HeadraceError, StoreFull, Unavailable

#: What one caller does in a shared transaction.
Change = Callable[[sqlite3.Connection], None]

#: `found` is the beginning of the digest: enough to find a row, and a fifth of the whole digest's index.
#: `uses` counts the rows that are differences to a row.
_TABLES = """
CREATE TABLE IF NOT EXISTS blob (
  id INTEGER PRIMARY KEY, digest BLOB NOT NULL, put_at INTEGER NOT NULL, size INTEGER NOT NULL,
  form INTEGER NOT NULL, hidden INTEGER NOT NULL, base INTEGER, data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS blob_found ON blob (substr(digest, 1, 6));
CREATE TABLE IF NOT EXISTS uses (base INTEGER PRIMARY KEY, count INTEGER NOT NULL);
PRAGMA user_version = 1;
"""
_VERSION = 1
_BUSY_SECONDS = 30.0
_READERS_KEPT = 16


class PackFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._opening = threading.Lock()
        self._open: list[sqlite3.Connection] = []
        self._idle: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None
        self._inode: int | None = None
        self._turn = threading.Lock()
        self._joining = threading.Lock()
        self._waiting: list[_Waiting] = []
        weakref.finalize(self, _close_all, self._open)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection of the caller's own, which sees one state of the file; None when nothing was ever packed here."""
        with _translated():
            connection = self._take()
            if connection is None:
                yield None
                return
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")
                self._give_back(connection)

    def change(self, change: Change, *, durable: bool = True) -> None:
        """
        Run `change` in a transaction, perhaps with others', and return when it is committed, and on the disk if it is to be
        durable. What `change` raises is raised here, and undone alone; what breaks the transaction is raised to all that share it.
        """
        mine = _Waiting(change, durable)
        with self._joining:
            self._waiting.append(mine)
        with self._turn:
            if not mine.done:
                self._commit_waiting()
        if mine.failed is not None:
            raise mine.failed

    def _commit_waiting(self) -> None:
        with self._joining:
            together, self._waiting = self._waiting, []
        try:
            with _translated():
                writer = self._writing()
                writer.execute(f"PRAGMA synchronous={'FULL' if any(one.durable for one in together) else 'NORMAL'}")
                writer.execute("BEGIN IMMEDIATE")
                try:
                    for one in together:
                        one.run(writer)
                    writer.execute("COMMIT")
                except BaseException:
                    # A full disk ends the transaction by itself.
                    with suppress(sqlite3.Error):
                        writer.execute("ROLLBACK")
                    raise
        except BaseException as exc:
            for one in together:
                one.failed = one.failed or exc
            if not isinstance(exc, HeadraceError):
                raise
        finally:
            for one in together:
                one.done = True

    def _writing(self) -> sqlite3.Connection:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            writer = self._connect()
            writer.execute("PRAGMA journal_mode=WAL")
            found: int = writer.execute("PRAGMA user_version").fetchone()[0]
            if found > _VERSION:
                raise DatabaseUnusable(f"{self._path} was written by a newer Headrace", hint="run that one")
            if found < _VERSION:
                writer.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
                sync_directory(self._path.parent)
            self._inode = self._path.stat().st_ino
            self._writer = writer
        self._refuse_replaced()
        return self._writer

    def _refuse_replaced(self) -> None:
        # SQLite would go on writing into a file that has no name any more.
        if not self._path.exists() or self._path.stat().st_ino != self._inode:
            raise DatabaseUnusable(f"{self._path} was replaced while it was in use", hint="restart Headrace")

    def _take(self) -> sqlite3.Connection | None:
        with suppress(IndexError):
            return self._idle.pop()
        if self._writer is None:
            if not self._path.exists():
                return None
            with self._turn, _translated():
                # Makes the tables, should another process be about to.
                self._writing()
        self._refuse_replaced()
        connection = self._connect()
        connection.execute("PRAGMA query_only=ON")
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if len(self._idle) < _READERS_KEPT:
            self._idle.append(connection)
            return
        with self._opening:
            self._open.remove(connection)
        connection.close()

    def _connect(self) -> sqlite3.Connection:
        # One thread at a time uses a connection, but not always the same one.
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=32
        )
        with self._opening:
            self._open.append(connection)
        return connection


class _Waiting:
    def __init__(self, change: Change, durable: bool) -> None:
        self._change = change
        self.durable = durable
        self.done = False
        self.failed: BaseException | None = None

    def run(self, writer: sqlite3.Connection) -> None:
        writer.execute("SAVEPOINT one")
        try:
            self._change(writer)
        except sqlite3.Error:
            raise
        except Exception as exc:
            writer.execute("ROLLBACK TO one")
            self.failed = exc
        writer.execute("RELEASE one")


def _close_all(connections: list[sqlite3.Connection]) -> None:
    for connection in connections:
        connection.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise _error(exc) from exc


def _error(exc: sqlite3.Error) -> HeadraceError:
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StoreFull("no space left for packed blobs", hint="free space there, or run `headrace cache prune`")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Unavailable("the packed blobs are busy", code="storage.busy", hint="try again in a few seconds")
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return Unavailable(
            f"the disk does not take packed blobs: {exc}",
            code="storage.error",
            hint="look at the kernel's log; nothing was published",
        )
    return DatabaseUnusable(f"the file of packed blobs is damaged: {exc}", hint="restore it from a backup")
