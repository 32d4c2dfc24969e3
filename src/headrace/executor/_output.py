"""
What a command prints, from its pipes into the event file, in bounded memory. Standard library only.

Pipes are read in chunks: a reader of lines loses or holds back what has no newline.
"""

import errno
import fcntl
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

from headrace.errors import HeadraceError
from headrace.eventfile import EventFile
from headrace.loglines import LineEncoder, Tally

_CHUNK = 64 * 1024
#: Read from one pipe before the other gets its turn; appended in one go.
_TURN = 16 * _CHUNK
_PIPE_BYTES = 1024 * 1024
_F_SETPIPE_SZ = 1031
#: A line without a newline is shown after this time.
_PATIENCE = 1.0


class LogFailed(Exception):
    """The event file takes nothing more. `full`: the disk is; otherwise somebody else has ended the log."""

    def __init__(self, full: bool) -> None:
        super().__init__("disk full" if full else "log closed")
        self.full = full


def now() -> str:
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"


def output_pipe() -> tuple[int, int]:
    """A pipe that holds much, because a command waits while it is full."""
    reader, writer = os.pipe()
    with suppress(OSError):  # beyond what this user may hold in pipes
        fcntl.fcntl(writer, _F_SETPIPE_SZ, _PIPE_BYTES)
    os.set_blocking(reader, False)
    return reader, writer


class OutputLog:
    """The part of one event file that one command fills."""

    def __init__(self, path: str, build_id: str, step: str, cap: int) -> None:
        self._file = EventFile(Path(path))
        self._about = {"build_id": build_id, "step": step}
        self._cap = cap
        self._tally = Tally()
        self._encoders: dict[int, LineEncoder] = {}
        self._waiting_since: dict[int, float] = {}
        self._given = 0
        self._dropped = 0
        self._failed = False

    def attach(self, reader: int, stream: Literal["stdout", "stderr"]) -> None:
        self._encoders[reader] = LineEncoder(self._about["build_id"], self._about["step"], stream, self._tally)

    def pump(self, reader: int) -> bool:
        """Move what is in the pipe now to the file, up to one turn. False at its end."""
        encoder = self._encoders[reader]
        records: list[bytes] = []
        ts, taken, more = now(), 0, True
        while taken < _TURN:
            try:
                chunk = os.read(reader, _CHUNK)
            except BlockingIOError:
                break
            if not chunk:
                more = False
                break
            taken += len(chunk)
            if kept := self._within_cap(chunk):
                records += encoder.feed(kept, ts)
        self._append(records)
        if not encoder.pending:
            self._waiting_since.pop(reader, None)
        elif records or reader not in self._waiting_since:
            self._waiting_since[reader] = time.monotonic()
        return more

    def show_waiting(self) -> None:
        """Write lines whose newline doesn't come."""
        late = time.monotonic() - _PATIENCE
        for reader, since in list(self._waiting_since.items()):
            if since < late:
                self._append(self._encoders[reader].flush(now(), final=False))
                self._waiting_since[reader] = time.monotonic()

    def fact(self, kind: str, **fields: object) -> None:
        """Append an event that isn't a line."""
        self._append([json.dumps({"ts": now(), "type": kind, **self._about, **fields})[1:].encode()])

    def finish(self) -> dict[str, object]:
        """Write what waits and say what was printed, and what isn't in the log."""
        with suppress(LogFailed):
            for encoder in self._encoders.values():
                self._append(encoder.flush(now()))
            if self._dropped:
                self.fact("log.truncated", bytes=self._dropped)
        tally = self._tally
        return {
            "lines": tally.lines,
            "bytes": tally.bytes,
            "sha256": tally.sha256,
            "truncated_bytes": self._dropped,
        }

    def _within_cap(self, chunk: bytes) -> bytes:
        """The head stays, the rest is counted."""
        room = self._cap - self._given
        self._given += len(chunk)
        if len(chunk) > room:
            self._dropped += len(chunk) - max(room, 0)
            return chunk[: max(room, 0)]
        return chunk

    def _append(self, records: list[bytes]) -> None:
        if not records:
            return
        if self._failed:
            self._dropped += sum(len(record) for record in records)
            return
        try:
            self._file.append(records)
        except (OSError, HeadraceError) as exc:
            self._failed = True
            raise LogFailed(isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT)) from exc
