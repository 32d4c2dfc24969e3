"""What a preview's command has printed so far, read from its event log as it grows."""

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import orjson

from headrace.model.diagnostic import LogLine
from headrace.model.text import plain

#: Lines that are remembered; drivers look at the newest.
_KEPT = 5000
_PIECE = 1024 * 1024


class PrintedLines:
    """Begins at the end of the log as it is now."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset = log.stat().st_size if log.exists() else 0
        self._lines: deque[LogLine] = deque(maxlen=_KEPT)

    def after(self, seq: int) -> Sequence[LogLine]:
        """Lines behind the event `seq`, the oldest first."""
        self._read()
        return [line for line in self._lines if line.seq > seq]

    def _read(self) -> None:
        try:
            descriptor = os.open(self._log, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            while piece := os.pread(descriptor, _PIECE, self._offset):
                whole = piece.rfind(b"\n") + 1
                if not whole:
                    return
                self._offset += whole
                for record in piece[:whole].split(b"\n"):
                    if b'"type":"preview.log"' in record[:120]:
                        found = orjson.loads(record)
                        self._lines.append(LogLine(seq=found["seq"], text=plain(found["line"])))
        finally:
            os.close(descriptor)
