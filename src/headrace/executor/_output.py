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
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Literal

from headrace.errors import HeadraceError
from headrace.eventfile import EventFile
from headrace.loglines import LineEncoder, Origin, Tally
from headrace.masking import MASK, Masker

Stream = Literal["stdout", "stderr"]

CHUNK = 64 * 1024
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

    `secrets` are values that are masked before anything else is done with what was printed: numbers and digests are those of
    the masked text, which is all there is to recompute them from.
    """

    def __init__(self, file: EventFile, origin: Origin, *, log_bytes: int, secrets: Iterable[str] = ()) -> None:
        self._file = file
        self._origin = origin
        self._cap = log_bytes
        self._tally = Tally()
        self._encoders = {
            "stdout": LineEncoder(origin, "stdout", self._tally),
            "stderr": LineEncoder(origin, "stderr", self._tally),
        }
        values = tuple(secrets)
        self._maskers = {"stdout": Masker(values), "stderr": Masker(values)}
        self._taken = 0
        self._cut = 0
        self._waiting_since: dict[Stream, float] = {}
        self._failed = False

    def feed(self, stream: Stream, chunk: bytes) -> None:
        """Append the lines that `chunk` completes. The head of the output is kept, what is beyond the cap is counted."""
        room = max(0, self._cap - self._taken)
        if self._failed:
            room = 0
        if len(chunk) > room:
            self._cut += len(chunk) - room
            chunk = chunk[:room]
        if not chunk:
            return
        self._taken += len(chunk)
        encoder = self._encoders[stream]
        records = encoder.feed(self._maskers[stream].feed(chunk), now())
        if not encoder.pending:
            self._waiting_since.pop(stream, None)
        elif records or stream not in self._waiting_since:
            self._waiting_since[stream] = time.monotonic()
        self._append(records)

    @property
    def full(self) -> bool:
        """Whether what is printed from now on is only counted."""
        return self._failed or self._taken >= self._cap

    def show_waiting(self) -> None:
        """Append what has been waiting for its newline for too long. To be called now and then."""
        late = time.monotonic() - _PATIENCE_SECONDS
        for stream, since in list(self._waiting_since.items()):
            if since <= late:
                self._waiting_since[stream] = time.monotonic()
                self._append(self._encoders[stream].flush(now(), final=False))

    def fact(self, kind: str, **fields: object) -> None:
        """Append an event of the command that isn't a line."""
        self._append([event_record(kind, self._origin.fields, **fields)])

    def warn(self, code: str, message: str) -> None:
        self.fact(f"{self._origin.family}.warning", code=code, message=message)

    def close(self) -> None:
        """Append what still waits, and say how much is missing."""
        with suppress(LogFailed):
            for stream, encoder in self._encoders.items():
                held = self._maskers[stream].flush()
                # The cap may have cut a secret in two: its beginning is no end of the output.
                self._append(encoder.feed(MASK if held and self._cut else held, now()))
                self._append(encoder.flush(now()))
            if self._cut:
                self.fact("log.truncated", bytes=self._cut)
        self._file.close()

    def receipt(self) -> dict[str, int | str]:
        """What is in the log, and how many bytes are not: together, exactly what was printed."""
        tally = self._tally
        return {
            "lines": tally.lines,
            "bytes": tally.bytes,
            "sha256": tally.sha256,
            "truncated_bytes": self._cut,
        }

    def _append(self, records: list[bytes]) -> None:
        if not records or self._failed:
            return
        try:
            self._file.append(records)
        except (OSError, HeadraceError) as exc:
            self._failed = True
            raise LogFailed(full=isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT)) from exc
