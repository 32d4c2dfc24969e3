"""
Rows of packed blobs, and how they hold each other: a row is a blob, or its difference to the row that is its base.

A row that others are differences to outlives its own deletion, hidden, until the last of them is gone. A large blob that others
are differences to has a row too, which says that its bytes are elsewhere: in a file. Every function runs in a transaction of its
caller's.
"""

import sqlite3
from typing import NamedTuple

from headrace.errors import CorruptBlob, NotFound
from headrace.model.digest import Digest, digest_of, hex_of
from headrace.store._coding import ELSEWHERE, RAW, Coded, coded, decoded
from headrace.store._files import BlobDirectory

#: A chain of differences has at most so many.
DEPTH = 8
_COLUMNS = "SELECT id, digest, put_at, size, form, hidden, base, data FROM blob "


class Row(NamedTuple):
    id: int
    digest: bytes
    #: Unix time, rounded up. Of a file, the file's own time counts.
    put_at: int
    size: int
    form: int
    hidden: int
    base: int | None
    data: bytes

    @property
    def name(self) -> Digest:
        return f"sha256:{self.digest.hex()}"


class Link(NamedTuple):
    """A blob of a chain with its row."""

    row: Row
    bytes: bytes


class BrokenChain(Exception):
    def __init__(self, row: Row) -> None:
        super().__init__(row.name)
        self.row = row


def find(c: sqlite3.Connection, digest: Digest) -> Row | None:
    key = bytes.fromhex(hex_of(digest))
    found = c.execute(_COLUMNS + "WHERE substr(digest, 1, 6) = ? AND digest = ?", (key[:6], key)).fetchone()
    return Row(*found) if found else None


def by_id(c: sqlite3.Connection, number: int) -> Row | None:
    found = c.execute(_COLUMNS + "WHERE id = ?", (number,)).fetchone()
    return Row(*found) if found else None


def chain_of(c: sqlite3.Connection, row: Row) -> list[Row]:
    """The row and what it is a difference to, the row itself last."""
    chain = [row]
    while chain[-1].base is not None and len(chain) <= DEPTH + 1:
        base = by_id(c, chain[-1].base)
        if base is None:
            break
        chain.append(base)
    return chain[::-1]


def decode(chain: list[Row], files: BlobDirectory) -> list[Link]:
    """All blobs of a chain, verified. Raises BrokenChain with the first that is not what it should be."""
    links: list[Link] = []
    for row in chain:
        data: bytes | None = None
        if row.form != ELSEWHERE:
            data = decoded(Coded(row.form, row.data), row.size, links[-1].bytes if links else None)
            if data is None or digest_of(data) != row.name:
                raise BrokenChain(row)
        else:
            try:
                data = files.read(row.name)
            except (NotFound, CorruptBlob) as exc:
                raise BrokenChain(row) from exc
        links.append(Link(row, data))
    return links


def insert(c: sqlite3.Connection, digest: Digest, size: int, code: Coded, base: int | None, now: int) -> int:
    done = c.execute(
        "INSERT INTO blob (digest, put_at, size, form, hidden, base, data) VALUES (?, ?, ?, ?, 0, ?, ?)",
        (bytes.fromhex(hex_of(digest)), now, size, code.form, base, code.data),
    )
    return done.lastrowid or 0


def touch(c: sqlite3.Connection, row: Row, now: int) -> None:
    if row.hidden or row.put_at < now:
        c.execute("UPDATE blob SET put_at = max(put_at, ?), hidden = 0 WHERE id = ?", (now, row.id))


def mend(c: sqlite3.Connection, row: Row, data: bytes, now: int, files: BlobDirectory) -> None:
    """Give a row its bytes again, in place, for those that are differences to it; not as a difference, which might lead back."""
    code = coded(data)
    c.execute(
        "UPDATE blob SET put_at = ?, size = ?, form = ?, hidden = 0, base = NULL, data = ? WHERE id = ?",
        (now, len(data), code.form, code.data, row.id),
    )
    release(c, row.base, files)


def hold(c: sqlite3.Connection, wanted: Row, files: BlobDirectory) -> int | None:
    """Count one more difference to a base; its id, or None when it is not any more what it was."""
    base = find(c, wanted.name)
    if base is None and wanted.form == ELSEWHERE:
        # Nobody deletes the file while this transaction lasts.
        if files.size(wanted.name) != wanted.size:
            return None
        number = insert(c, wanted.name, wanted.size, Coded(ELSEWHERE, b""), None, 0)
    elif base is None or (base.form, base.base, base.data) != (wanted.form, wanted.base, wanted.data):
        return None
    else:
        number = base.id
    c.execute("INSERT INTO uses VALUES (?, 1) ON CONFLICT (base) DO UPDATE SET count = count + 1", (number,))
    return number


def forget(c: sqlite3.Connection, row: Row, files: BlobDirectory, *, bad: bool) -> None:
    """Remove a row. While others are differences to it, it is hidden instead, and without its bytes when they are bad."""
    if c.execute("SELECT 1 FROM uses WHERE base = ?", (row.id,)).fetchone():
        c.execute("UPDATE blob SET hidden = 1 WHERE id = ?", (row.id,))
        if bad and row.form != ELSEWHERE:
            c.execute("UPDATE blob SET form = ?, base = NULL, data = x'' WHERE id = ?", (RAW, row.id))
            release(c, row.base, files)
        return
    c.execute("DELETE FROM blob WHERE id = ?", (row.id,))
    if row.form == ELSEWHERE:
        files.delete(row.name, None)
    release(c, row.base, files)


def release(c: sqlite3.Connection, base: int | None, files: BlobDirectory) -> None:
    """Count one difference to a base less. A hidden one that has no more goes, and lets its own base go."""
    while base is not None:
        c.execute("UPDATE uses SET count = count - 1 WHERE base = ?", (base,))
        if not c.execute("DELETE FROM uses WHERE base = ? AND count <= 0", (base,)).rowcount:
            return
        row = by_id(c, base)
        if row is None or (row.form != ELSEWHERE and not row.hidden):
            return
        c.execute("DELETE FROM blob WHERE id = ?", (base,))
        if row.form == ELSEWHERE and row.hidden:
            files.delete(row.name, None)
        base = row.base
