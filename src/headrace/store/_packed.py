"""
The blocking half of the local store: small blobs and differences as rows of one file, the others as files.

A blob may lie in either form, whatever its size: what was a file before there were rows stays one. Rows are looked at first.
"""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from math import ceil
from pathlib import Path
from typing import NamedTuple

from headrace.disk import open_regular, storage_errors
from headrace.errors import CorruptBlob, NotFound
from headrace.model.digest import Digest, digest_of
from headrace.store._coding import ELSEWHERE, MOST_COMPARED, Coded, coded, decoded, difference
from headrace.store._files import PIECE, PREFIXES, BlobDirectory, write_new
from headrace.store._pack_file import PackFile
from headrace.store._rows import (
    DEPTH,
    BrokenChain,
    Link,
    Row,
    by_id,
    chain_of,
    decode,
    find,
    forget,
    hold,
    insert,
    mend,
    touch,
)
from headrace.store.base import BlobFile

#: Blobs up to this size are packed.
SMALL = 32 * 1024
#: A batch shares one wait for the disk. Bounded for its memory, and so that other writers get their turn.
_BATCH_BLOBS = 1000
_BATCH_BYTES = 16 * PIECE
_LISTED_AT_ONCE = 4000


class _New(NamedTuple):
    """A blob to be packed. `code` is None for one that has a row already."""

    digest: Digest
    data: bytes
    code: Coded | None
    base: Row | None = None


class PackedBlobs:
    def __init__(self, directory: Path, small: int) -> None:
        self._small = small
        self._files = BlobDirectory(directory)
        self._pack = PackFile(directory / "packed.db")

    # Reading

    def sizes(self, digests: Iterable[Digest]) -> dict[Digest, int]:
        """Sizes of those that are stored."""
        with self._pack.reading() as c:
            found = {digest: self._size(find(c, digest) if c else None, digest) for digest in digests}
        return {digest: size for digest, size in found.items() if size is not None}

    def _size(self, row: Row | None, digest: Digest) -> int | None:
        if row is None or (row.form == ELSEWHERE and not row.hidden):
            return self._files.size(digest)
        return None if row.hidden else row.size

    def open_file(self, digest: Digest) -> int | None:
        """A descriptor, of a blob that is a file. None when it is a row."""
        with self._pack.reading() as c:
            row = find(c, digest) if c else None
        return self._files.open(digest) if _is_file(row, digest) else None

    def read(self, digest: Digest) -> bytes:
        with self._pack.reading() as c:
            row = find(c, digest) if c else None
            rows = chain_of(c, row) if c and row and row.base is not None else []
        if row is None or _is_file(row, digest):
            return self._files.read(digest)
        if not rows:
            data = decoded(Coded(row.form, row.data), row.size)
            if data is not None and digest_of(data) == digest:
                return data
            rows = [row]
        try:
            return decode(rows, self._files)[-1].bytes
        except BrokenChain as broken:
            self._drop([broken.row, row] if broken.row.id != row.id else [row])
            raise CorruptBlob(f"{digest} does not have its bytes any more; it was dropped") from broken

    def _drop(self, bad: Sequence[Row]) -> None:
        def drop(c: sqlite3.Connection) -> None:
            for row in bad:
                # Another process may have mended it meanwhile.
                if (now := by_id(c, row.id)) and now._replace(put_at=0) == row._replace(put_at=0):
                    forget(c, row, self._files, bad=True)

        self._pack.change(drop, durable=False)

    def write_files(self, files: Sequence[BlobFile]) -> None:
        for file in files:
            with self._pack.reading() as c:
                row = find(c, file.digest) if c else None
            if _is_file(row, file.digest):
                self._files.write_files((file,))
                continue
            data = self.read(file.digest)
            with storage_errors():
                write_new(file, data)

    def listed(self) -> Iterator[list[tuple[Digest, int]]]:
        after, hidden = 0, set()
        while True:
            with self._pack.reading() as c:
                query = "SELECT id, digest, size, form, hidden FROM blob WHERE id > ? ORDER BY id LIMIT ?"
                rows = c.execute(query, (after, _LISTED_AT_ONCE)).fetchall() if c else []
            if not rows:
                break
            after = rows[-1][0]
            hidden |= {f"sha256:{row[1].hex()}" for row in rows if row[3] == ELSEWHERE and row[4]}
            yield [(f"sha256:{row[1].hex()}", row[2]) for row in rows if row[3] != ELSEWHERE and not row[4]]
        for first in range(0, len(PREFIXES), 16):
            yield [found for found in self._files.listed(PREFIXES[first : first + 16]) if found[0] not in hidden]

    # Putting

    def put_all(self, blobs: Iterable[bytes], likes: Iterable[Digest | None]) -> list[Digest]:
        digests: list[Digest] = []
        with storage_errors():
            for batch in _batches(blobs, likes):
                digests += [digest for digest, _, _ in batch]
                self._put({digest: (data, like) for digest, data, like in batch})
        return digests

    def _put(self, blobs: dict[Digest, tuple[bytes, Digest | None]]) -> None:
        with self._pack.reading() as c:
            rows = {digest: find(c, digest) for digest in blobs} if c else {}
        packed: list[_New] = []
        bases: dict[Digest, Link | None] = {}
        large: list[bytes] = []
        again: list[Row] = []
        for digest, (data, like) in blobs.items():
            row = rows.get(digest)
            if row and row.form != ELSEWHERE:
                packed.append(_New(digest, data, None))
            elif self._files.is_there(digest, len(data)):
                again += [row] if row else []
            elif new := self._code(digest, data, like, bases):
                packed.append(new)
            else:
                large.append(data)
                again += [row] if row else []
        if large:
            self._files.put_all(large)
        if refused := self._add(packed, again):
            self._put({new.digest: (new.data, None) for new in refused})

    def _code(self, digest: Digest, data: bytes, like: Digest | None, bases: dict[Digest, Link | None]) -> _New | None:
        """How to pack a blob. None when it is neither small nor a small difference. Fills `bases`."""
        own = coded(data) if len(data) <= self._small else None
        if like is not None and like != digest and len(data) <= MOST_COMPARED:
            if like not in bases:
                bases[like] = self._base(like)
            base = bases[like]
            changed = difference(data, base.bytes, than=len(own.data) if own else len(data)) if base else None
            if base and changed and len(changed.data) <= SMALL:
                return _New(digest, data, changed, base.row)
        return _New(digest, data, own) if own else None

    def _base(self, like: Digest) -> Link | None:
        """What a blob that resembles `like` may be a difference to: that, or the beginning of a chain that is long enough."""
        with self._pack.reading() as c:
            row = find(c, like) if c else None
            rows = chain_of(c, row) if c and row else []
        if row and row.size > MOST_COMPARED:
            return None
        try:
            if rows:
                links = decode(rows, self._files)
                return links[-1] if len(links) <= DEPTH else links[0]
            if (self._files.size(like) or MOST_COMPARED + 1) > MOST_COMPARED:
                return None
            data = self._files.read(like)
            return Link(Row(0, bytes.fromhex(like[7:]), 0, len(data), ELSEWHERE, 0, None, b""), data)
        except (BrokenChain, NotFound, CorruptBlob):
            return None

    def _add(self, blobs: Sequence[_New], again: Sequence[Row]) -> list[_New]:
        """Durable when this returns. Those that need something which went away meanwhile are not stored, and are returned."""
        refused: list[_New] = []

        def add(c: sqlite3.Connection) -> None:
            now = ceil(time.time())
            refused.extend(new for new in blobs if not self._add_one(c, new, now))
            for row in again:
                touch(c, row, now)

        again = [row for row in again if row.hidden]
        if blobs or again:
            self._pack.change(add)
        return refused

    def _add_one(self, c: sqlite3.Connection, new: _New, now: int) -> bool:
        if old := find(c, new.digest):
            if self._whole(c, old, new.data):
                touch(c, old, now)
            else:
                mend(c, old, new.data, now, self._files)
            return True
        if new.code is None:
            return False
        base = hold(c, new.base, self._files) if new.base else None
        if new.base and base is None:
            return False
        insert(c, new.digest, len(new.data), new.code, base, now)
        return True

    def _whole(self, c: sqlite3.Connection, row: Row, expected: bytes) -> bool:
        try:
            return decode(chain_of(c, row), self._files)[-1].bytes == expected
        except BrokenChain:
            return False

    def put_file(self, file: Path | int, expected: Digest | None) -> Digest:
        with storage_errors(), open_regular(file) as source:
            if os.fstat(source.fileno()).st_size <= self._small:
                data = source.read(self._small + 1)
                if len(data) <= self._small:
                    if expected is not None and digest_of(data) != expected:
                        raise CorruptBlob(f"expected {expected}, received {digest_of(data)}")
                    return self.put_all((data,), ())[0]
        digest = self._files.put_file(file, expected)
        with self._pack.reading() as c:
            row = find(c, digest) if c else None
        self._add((), [row] if row else [])
        return digest

    # Deleting

    def delete(self, digest: Digest, unless_put_since: float | None) -> None:
        """Under the writers' lock, since a difference to the blob may be made at any time."""

        def delete(c: sqlite3.Connection) -> None:
            row = find(c, digest)
            if row is None:
                self._files.delete(digest, unless_put_since)
            elif row.form == ELSEWHERE:
                if not row.hidden and self._files.put_before(digest, unless_put_since):
                    forget(c, row, self._files, bad=False)
            elif not row.hidden and (unless_put_since is None or row.put_at < unless_put_since):
                forget(c, row, self._files, bad=False)
                self._files.delete(digest, unless_put_since)

        # What a power cut brings back is deleted by the next collection.
        self._pack.change(delete, durable=False)


def _is_file(row: Row | None, digest: Digest) -> bool:
    """Whether to look among the files. Raises NotFound for what is kept for others only."""
    if row is not None and row.hidden:
        raise NotFound(f"{digest} is not stored")
    return row is None or row.form == ELSEWHERE


def _batches(
    blobs: Iterable[bytes], likes: Iterable[Digest | None]
) -> Iterator[list[tuple[Digest, bytes, Digest | None]]]:
    batch: list[tuple[Digest, bytes, Digest | None]] = []
    total = 0
    # Blobs without a hint come last.
    for blob, like in zip(blobs, chain(likes, repeat(None)), strict=False):
        batch.append((digest_of(blob), blob, like))
        total += len(blob)
        if len(batch) >= _BATCH_BLOBS or total >= _BATCH_BYTES:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch
