"""
What a command's connections came to, host by host: a file of fixed size that the proxy writes while they run.

It is mapped into memory, so that it holds what was counted up to the last byte whoever is killed. Standard library only: the
proxy and the supervisor use it.
"""

import mmap
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

#: More hosts than that are one row, and so are those beyond half of it that were only refused: who knocks at many doors must not
#: crowd out what was reached.
HOSTS = 64
_ROW = struct.Struct("<255sxH128sQQQQdd")
_HEAD = struct.Struct("<H")
_SIZE = _HEAD.size + (HOSTS + 1) * _ROW.size


class Use(NamedTuple):
    """One host of a command. `host` is empty in the row of all that have none of their own."""

    host: str
    port: int
    package: str
    connections: int = 0
    refused: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    #: Seconds since 1970.
    first_at: float = 0
    last_at: float = 0


class Ledger:
    """Written by one process, from any of its threads."""

    def __init__(self, path: Path | None, mask: Callable[[str], str] = str) -> None:
        """`mask` takes secrets out of names before they are written."""
        self._mask = mask
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, int], int] = {}
        self._uses: list[Use] = []
        self._refused_only = 0
        if path is None:
            self._map: mmap.mmap | bytearray = bytearray(_SIZE)
            return
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, _SIZE)
            self._map = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)
        # A command of the same place that was lost before is over.
        self._map[:] = bytes(_SIZE)

    def is_new(self, host: str, port: int) -> bool:
        """Whether the host has no row yet."""
        with self._lock:
            return (host, port) not in self._rows

    def connected(self, host: str, port: int, package: str) -> int:
        """Counts a connection; the row for its bytes."""
        return self._count(host, port, package, connections=1)

    def refused(self, host: str, port: int, package: str) -> None:
        self._count(host, port, package, refused=1)

    def moved(self, row: int, *, up: int = 0, down: int = 0) -> None:
        with self._lock:
            use = self._uses[row]
            self._write(
                row,
                use._replace(bytes_up=use.bytes_up + up, bytes_down=use.bytes_down + down, last_at=time.time()),
            )

    def uses(self) -> list[Use]:
        with self._lock:
            return list(self._uses)

    def _count(self, host: str, port: int, package: str, *, connections: int = 0, refused: int = 0) -> int:
        now = time.time()
        with self._lock:
            row = self._row(host, port, package, now, only_refused=not connections)
            use = self._uses[row]
            self._write(
                row,
                use._replace(
                    package=use.package or package,
                    connections=use.connections + connections,
                    refused=use.refused + refused,
                    last_at=now,
                ),
            )
            return row

    def _row(self, host: str, port: int, package: str, now: float, *, only_refused: bool) -> int:
        known = self._rows.get((host, port))
        if known is not None:
            return known
        full = len(self._uses) >= HOSTS or (only_refused and self._refused_only >= HOSTS // 2)
        if full and ("", 0) in self._rows:
            return self._rows["", 0]
        self._refused_only += only_refused
        made = Use("", 0, "", first_at=now) if full else Use(host, port, package, first_at=now)
        self._uses.append(made)
        row = self._rows[made.host, made.port] = len(self._uses) - 1
        self._write(row, made)
        _HEAD.pack_into(self._map, 0, len(self._uses))
        return row

    def _write(self, row: int, use: Use) -> None:
        self._uses[row] = use
        host, port, package, *numbers = use
        at = _HEAD.size + row * _ROW.size
        _ROW.pack_into(self._map, at, self._mask(host).encode()[:255], port, package.encode()[:128], *numbers)


def read_ledger(path: Path) -> list[Use]:
    """What the ledger holds now; nothing when there is none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    return list(_uses(data)) if len(data) == _SIZE else []


def _uses(data: bytes) -> Iterator[Use]:
    for row in range(min(_HEAD.unpack_from(data)[0], HOSTS + 1)):
        host, port, package, *numbers = _ROW.unpack_from(data, _HEAD.size + row * _ROW.size)
        yield Use(_text(host), port, _text(package), *numbers)


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode(errors="replace")
