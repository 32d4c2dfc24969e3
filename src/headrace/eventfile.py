"""
The append-only NDJSON file of one build's events: numbering, locking, repair, finding a place by number.

Beside `X.ndjson` lies `X.ndjson.state` with the number of the last record, the size up to it, and whether the log has
ended. Readers look at no byte beyond that size, so an append is visible whole or not at all. The state is only a short
cut: everything in it can be found again in the file, because a record begins with its number and the last record of a
closed log has a space before its newline.

Standard library only: a supervisor imports this without the rest of Headrace.
"""

import fcntl
import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from headrace.errors import Conflict

#: What every record begins with.
BEGINNING = b'{"seq":'
#: A reader's piece. Large enough that a system call costs nothing beside it.
PIECE = 128 * 1024

_NUMBERED = b'\n{"seq":%d,'
_GROWTH = len(_NUMBERED) - 1
_SCAN = 1024 * 1024


class FileState(NamedTuple):
    """Up to where a log is written."""

    last_seq: int = 0
    size: int = 0
    closed: bool = False


class NotFlushed(Exception):
    """Records are in the log from number `first` on, and may be gone after a power cut."""

    def __init__(self, first: int, cause: OSError) -> None:
        super().__init__(f"the disk did not confirm records from {first} on: {cause}")
        self.first = first


def state_path(path: Path) -> Path:
    return path.with_name(path.name + ".state")


def retired_path(path: Path) -> Path:
    """Where a closed log lies once it is compressed."""
    return path.with_name(path.name + ".zst")


class EventFile:
    """
    One event file. Any number of processes and threads may hold one and append; the numbers stay dense.

    A process may be killed at any point of an append: the next one cuts a torn last line and counts the whole ones.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = FileState()
        self._fd = -1
        self._state_fd = -1
        self._opened_by = 0
        self._lock = threading.Lock()

    def append(self, records: Sequence[bytes], *, close: bool = False, durable: bool = False) -> int:
        """
        Append records, all or none, and return the number of the first. A record is a JSON object without its beginning:
        `"ts":"…","type":"…",…}`; `{"seq":N,` is written before it and a newline behind it. One element may hold several
        records with a newline between them.

        `close` ends the log with these records. With `durable` they have reached the disk when this returns.
        Raises Conflict (`log.closed`) when the log has ended, OSError when the disk is full. NotFlushed when they are in the log,
        and only the disk did not confirm it: they must not be appended again.
        """
        body = b"\n".join(records)
        if not body:
            raise ValueError("nothing to append")
        with self._exclusively() as known:
            first = known.last_seq + 1
            self._write(_number(body, first, close=close), known, close)
            written = os.dup(self._fd) if durable else -1
        if durable:
            # Outside the lock: a flush waits for the log lines of others too, and they must not wait for it.
            try:
                _flush(written)
                if first == 1:
                    _flush(os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY))
            except OSError as exc:
                raise NotFlushed(first, exc) from exc
        return first

    def state(self) -> FileState:
        """Up to where the log is written, without waiting for a writer."""
        return read_state(self.path)

    def repair(self) -> FileState:
        """Count what a killed writer left behind, so that readers see it. Needed where nobody will append any more."""
        with self._exclusively() as known:
            return known

    def read_from(self, after: int = 0) -> Iterator[bytes]:
        """What is stored behind record `after`, in pieces that end at line ends."""
        state = self.state()
        if after >= state.last_seq:
            return
        with self.path.open("rb", buffering=0) as file:
            yield from pieces(file.fileno(), offset_after(file.fileno(), state.size, after), state.size)

    def close(self) -> None:
        """Let go of the descriptors. The file may be used again afterwards."""
        with self._lock:
            self._let_go()

    def __del__(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        for descriptor in (self._fd, self._state_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self._fd = self._state_fd = -1

    @contextmanager
    def _exclusively(self) -> Iterator[FileState]:
        # A descriptor that came through fork shares its lock with the parent's, so it would exclude nobody.
        if self._opened_by != os.getpid():
            self._opened_by = os.getpid()
            self._let_go()
            self._lock = threading.Lock()
        with self._lock:
            if self._fd < 0:
                self._open()
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            try:
                yield self._current()
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _open(self) -> None:
        if retired_path(self.path).exists():
            raise _closed(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(self.path, flags, 0o600)
        self._state_fd = os.open(state_path(self.path), flags, 0o600)
        self._known = FileState()

    def _current(self) -> FileState:
        """What is stored, after repair. The lock is held."""
        size = os.fstat(self._fd).st_size
        if size == self._known.size and size:
            return self._known
        if not size and retired_path(self.path).exists():
            raise _closed(self.path)
        recorded = parse_state(os.pread(self._state_fd, 64, 0))
        if recorded is None or recorded.size > size:
            recorded = self._known if self._known.size <= size else FileState()
        if recorded.size < size:
            recorded = scan(self._fd, recorded, size)
            os.ftruncate(self._fd, recorded.size)
            self._record(recorded)
        self._known = recorded
        return recorded

    def _write(self, data: bytes, known: FileState, close: bool) -> None:
        if known.closed:
            raise _closed(self.path)
        now = FileState(_last_number(data), known.size + len(data), close)
        try:
            _write_all(self._fd, data, known.size)
        except OSError:
            # A full disk: what was written in part goes again. No reader has seen it.
            with suppress(OSError):
                os.ftruncate(self._fd, known.size)
            raise
        # Whole records are in the log, whether their state is recorded or not: the next one to look counts them.
        with suppress(OSError):
            self._record(now)
        self._known = now

    def _record(self, state: FileState) -> None:
        _write_all(self._state_fd, _format_state(state), 0)


def read_state(path: Path) -> FileState:
    """
    Up to where the log at `path` is written; all zero for a log that does not exist. Does not wait for a writer, and
    counts what a killed one left behind.
    """
    try:
        recorded = parse_state(state_path(path).read_bytes())
    except FileNotFoundError:
        recorded = None
    try:
        if recorded is not None and recorded.size == path.stat().st_size:
            return recorded
        with path.open("rb", buffering=0) as file:
            return _state_of(file.fileno(), path)
    except FileNotFoundError:
        return FileState()


def _state_of(fd: int, path: Path) -> FileState:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        at_rest = True
    except BlockingIOError:
        at_rest = False
    with suppress(FileNotFoundError):
        recorded = parse_state(state_path(path).read_bytes())
        size = os.fstat(fd).st_size
        if recorded is not None and recorded.size <= size:
            # What lies beyond belongs to an append under way, unless nobody is appending.
            return scan(fd, recorded, size) if at_rest else recorded
    return scan(fd, FileState(), os.fstat(fd).st_size)


def offset_after(fd: int, size: int, after: int) -> int:
    """Where the first record with a number above `after` begins; `size` when there is none."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        start = _line_start(fd, middle, size)
        if start >= size or _number_at(fd, start) > after:
            high = middle
        else:
            low = start + 1
    return _line_start(fd, low, size)


def pieces(fd: int, start: int, end: int) -> Iterator[bytes]:
    """Bytes `start` to `end`, which are line starts, in pieces that end at line ends."""
    while start < end:
        piece = piece_at(fd, start, end)
        if not piece:
            return
        yield piece
        start += len(piece)


def piece_at(fd: int, start: int, end: int, size: int = PIECE) -> bytes:
    """Whole lines from `start` on: about `size` bytes, or one line if that is longer."""
    wanted = min(size, end - start)
    data = os.pread(fd, wanted, start)
    while len(data) == wanted < end - start and b"\n" not in data:
        more = os.pread(fd, min(PIECE, end - start - len(data)), start + len(data))
        wanted += len(more)
        data += more
    return data[: data.rfind(b"\n") + 1]


def scan(fd: int, known: FileState, size: int) -> FileState:
    """The state after the whole records that follow `known`. Stops at the first byte that can't be one."""
    seq, end, closed = known
    rest = b""
    position = end
    while position < size and (data := os.pread(fd, _SCAN, position)):
        position += len(data)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if not line.startswith(b"%s%d," % (BEGINNING, seq + 1)):
                return FileState(seq, end, closed)
            seq, end, closed = seq + 1, end + len(line) + 1, line.endswith(b" ")
    return FileState(seq, end, closed)


def number_of(record: bytes) -> int:
    """The number of a stored record, without parsing it."""
    return int(record[len(BEGINNING) : record.index(b",")])


def _number(body: bytes, first: int, *, close: bool) -> bytes:
    # One formatting call for all records: five times as fast as a loop over them.
    template = b"\n" + body.replace(b"%", b"%%")
    numbered = template.replace(b"\n", _NUMBERED)
    count = (len(numbered) - len(template)) // _GROWTH
    end = b" \n" if close else b"\n"
    return (numbered[1:] + end) % tuple(range(first, first + count))


def _last_number(data: bytes) -> int:
    start = data.rfind(b"\n", 0, -1) + 1
    return int(data[start + len(BEGINNING) : data.index(b",", start)])


def _line_start(fd: int, position: int, size: int) -> int:
    """The first line start at or after `position`."""
    if position == 0:
        return 0
    position -= 1
    while position < size and (data := os.pread(fd, 4096, position)):
        found = data.find(b"\n")
        if found >= 0:
            return position + found + 1
        position += len(data)
    return size


def _number_at(fd: int, start: int) -> int:
    return number_of(os.pread(fd, 32, start))


def _write_all(fd: int, data: bytes, offset: int) -> None:
    written = os.pwrite(fd, data, offset)
    while written < len(data):
        written += os.pwrite(fd, data[written:], offset + written)


def _format_state(state: FileState) -> bytes:
    fields = b"%016d %020d %d" % (state.last_seq, state.size, state.closed)
    return b"%s %08x\n" % (fields, zlib.crc32(fields))


def parse_state(data: bytes) -> FileState | None:
    """None for a state that is missing, or torn because it is being written."""
    fields, _, checksum = data.rstrip(b"\n").rpartition(b" ")
    if len(fields) != 39 or checksum != b"%08x" % zlib.crc32(fields):
        return None
    seq, size, closed = fields.split(b" ")
    return FileState(int(seq), int(size), closed == b"1")


def _closed(path: Path) -> Conflict:
    return Conflict(f"the log {path.stem} has ended and takes no more events", code="log.closed")


def _flush(descriptor: int) -> None:
    """Have what was written reach the disk, and close the descriptor."""
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
