"""
What a command prints, on its way from the pipes into a build's or preview's log: in order, capped, counted, in bounded memory.

Pipes are read in chunks: a reader of lines loses or holds back what has no newline. Standard library only: the
supervisor uses it.
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial

from headrace.errors import HeadraceError
from headrace.eventfile import EventFile
from headrace.executor._last_bytes import LastBytes
from headrace.loglines import LineEncoder, Origin, Stream, Tally
from headrace.masking import Masker

CHUNK = 64 * 1024
#: Of the end of more output than a log keeps.
TAIL = 1024 * 1024
_PIPE_BYTES = 1024 * 1024
#: A line whose newline doesn't come is shown after this time.
_PATIENCE_SECONDS = 1.0


class LogFailed(Exception):
    """The event file takes nothing more. `full`: the disk is; otherwise somebody else has ended the log."""

    def __init__(self, *, full: bool) -> None:
        super().__init__("disk full" if full else "log closed")
        self.full = full


def now() -> str:
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"


def event_record(kind: str, about: Mapping[str, str], **fields: object) -> bytes:
    """An event as `EventFile.append` wants it."""
    return json.dumps({"ts": now(), "type": kind, **about, **fields}, separators=(",", ":"))[1:].encode()


def output_pipe() -> tuple[int, int]:
    """A pipe that holds much, because a command waits while it is full."""
    reader, writer = os.pipe()
    with suppress(OSError):  # more than this user may hold in pipes
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    os.set_blocking(reader, False)
    return reader, writer


class Output:
    """
    Both streams of one command. Raises LogFailed, once; what comes later is only counted.

    Of more than `log_bytes`, the beginning and the last `TAIL` bytes are kept, of a small cap half for each: why a command ended
    is printed last. Between the two stands `log.truncated`.

    `secrets` are values that are masked before anything else is done with what was printed: the cap, numbers and digests are
    those of the masked text, which is all there is to recompute them from.
    """

    def __init__(self, file: EventFile, origin: Origin, *, log_bytes: int, secrets: Iterable[str] = ()) -> None:
        self._file = file
        self._origin = origin
        self._tally = Tally()
        self._encoders: dict[Stream, LineEncoder] = {
            "stdout": LineEncoder(origin, "stdout", self._tally),
            "stderr": LineEncoder(origin, "stderr", self._tally),
        }
        values = tuple(secrets)
        self._maskers: dict[Stream, Masker] = {"stdout": Masker(values), "stderr": Masker(values)}
        tail = min(TAIL, log_bytes // 2)
        self._last = LastBytes(tail)
        #: How much more goes to the beginning.
        self._room = log_bytes - tail
        self._printed = 0
        #: Whether the log says that its beginning is over.
        self._told = False
        #: Of the missing bytes, those that the log says are missing.
        self._said = 0
        self._waiting_since: dict[Stream, float] = {}
        self._failed = False

    def feed(self, stream: Stream, chunk: bytes) -> None:
        """Append the lines that `chunk` completes, as long as there is room for the beginning; keep the rest as the end."""
        self._take(stream, self._maskers[stream].feed(chunk))

    @property
    def full(self) -> bool:
        """Whether what is printed from now on doesn't go to the log until the end."""
        return self._failed or self._room == 0

    def show_waiting(self) -> None:
        """Append what has been waiting for its newline for too long. To be called now and then."""
        late = time.monotonic() - _PATIENCE_SECONDS
        for stream, since in list(self._waiting_since.items()):
            if since <= late:
                self._waiting_since[stream] = time.monotonic()
                self._append(partial(self._encoders[stream].flush, final=False))

    def fact(self, kind: str, **fields: object) -> None:
        """Append an event of the command that isn't a line."""
        self._append(lambda _: [self._event(kind, **fields)])

    def warn(self, code: str, message: str) -> None:
        self.fact(f"{self._origin.family}.warning", code=code, message=message)

    def close(self) -> None:
        """Append what still waits, and how much is missing before it."""
        with suppress(LogFailed):
            for stream, masker in self._maskers.items():
                self._take(stream, masker.flush())
            if self._append(self._ending):
                self._said = self._missing
        if self._failed and self._missing:
            # The disk may have room again for a few bytes: nothing is left out in silence.
            self._failed = False
            with suppress(LogFailed):
                self.fact("log.truncated", bytes=self._missing)
                self._said = self._missing
        self._file.close()

    def receipt(self) -> dict[str, int | str]:
        """
        What is in the log, and how many bytes are not: together, exactly what was printed. After `close`, how many of these the log
        doesn't say are missing, because it took nothing more.
        """
        tally = self._tally
        return {
            "lines": tally.lines,
            "bytes": tally.bytes,
            "sha256": tally.sha256,
            "truncated_bytes": self._missing,
            "unsaid_bytes": self._missing - self._said,
        }

    @property
    def _missing(self) -> int:
        return self._printed - self._tally.bytes

    def _take(self, stream: Stream, data: bytes) -> None:
        self._printed += len(data)
        if self._failed or not data:
            return
        first, rest = data[: self._room], data[self._room :]
        if first:
            self._room -= len(first)
            self._log(stream, first)
        if rest:
            self._last.add(stream, rest)
            if not self._told:
                self._told = True
                self._append(self._beginning_over)

    def _log(self, stream: Stream, data: bytes) -> None:
        encoder = self._encoders[stream]
        appended = self._append(lambda at: encoder.feed(data, at))
        if not encoder.pending:
            self._waiting_since.pop(stream, None)
        elif appended or stream not in self._waiting_since:
            self._waiting_since[stream] = time.monotonic()

    def _beginning_over(self, at: str) -> list[bytes]:
        records = [record for encoder in self._encoders.values() for record in encoder.flush(at, final=False)]
        message = "the log has no room for more of this command; its last lines follow when it has ended"
        return [*records, self._event(f"{self._origin.family}.warning", code="log.full", message=message)]

    def _ending(self, at: str) -> list[bytes]:
        last = self._last.take()
        waiting = sum(len(encoder.pending) for encoder in self._encoders.values())
        records = []
        if cut := self._missing - waiting - sum(len(data) for _, data in last):
            for encoder in self._encoders.values():
                records += encoder.break_off(at)
            records.append(self._event("log.truncated", bytes=cut))
        for stream, data in last:
            records += self._encoders[stream].feed(data, at)
        for encoder in self._encoders.values():
            records += encoder.flush(at)
        return records

    def _event(self, kind: str, **fields: object) -> bytes:
        return event_record(kind, self._origin.fields, **fields)

    def _append(self, make: Callable[[str], list[bytes]]) -> bool:
        """Append the records that are made for this time. What could not be appended is not counted as being there."""
        if self._failed:
            return False
        before = self._tally.copy()
        records = make(now())
        if not records:
            return False
        try:
            self._file.append(records)
        except (OSError, HeadraceError) as exc:
            self._failed = True
            self._tally.become(before)
            raise LogFailed(full=isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT)) from exc
        return True
