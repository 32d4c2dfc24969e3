"""Event logs in the memory of one process, for tests and throwaway builds. Nothing outlives it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headrace.errors import Conflict, Unavailable
from headrace.events._records import decode, encode, numbered, stamped, without_lines
from headrace.events.base import Fact
from headrace.model.event import Event

#: Lines of a piece that a reader gets at once.
_LINES = 500


@dataclass
class _Log:
    lines: list[bytes] = field(default_factory=list)
    closed: bool = False
    gone: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class MemoryEventLog:
    """The contract of `events.base` without files. One instance belongs to one event loop."""

    def __init__(self) -> None:
        self._logs: dict[str, _Log] = {}

    async def append(self, log: str, events: Sequence[Fact], *, close: bool = False) -> Sequence[Fact]:
        stored = self._logs.setdefault(log, _Log())
        if stored.closed:
            raise Conflict(f"the log {log} has ended and takes no more events", code="log.closed")
        events = numbered(stamped(events), len(stored.lines) + 1)
        stored.lines += [b'{"seq":%d,%s\n' % (event.seq, encode(event)) for event in events]
        stored.closed = close
        stored.wake()
        return events

    async def read(self, log: str, *, after: int = 0, limit: int = 1000, lines: bool = True) -> Sequence[Event]:
        if log not in self._logs:
            return []
        records = self._logs[log].lines[after:]
        return decode((records if lines else without_lines(records))[:limit])

    async def read_bytes(self, log: str, *, after: int = 0, follow: bool = False) -> AsyncGenerator[bytes, None]:
        if log not in self._logs and not follow:
            return
        stored = self._logs.setdefault(log, _Log())
        end = len(stored.lines)
        while True:
            while after < end:
                piece = stored.lines[after : min(end, after + _LINES)]
                after += len(piece)
                yield b"".join(piece)
            if not follow or stored.gone or (stored.closed and after >= len(stored.lines)):
                return
            if after >= len(stored.lines):
                await stored.changed.wait()
            end = len(stored.lines)

    async def last(self, log: str) -> int:
        return len(self._logs[log].lines) if log in self._logs else 0

    async def closed(self, log: str) -> bool:
        return log in self._logs and self._logs[log].closed

    def path(self, log: str) -> Path:
        raise Unavailable(f"the log {log} is in memory; no other process can append to it")

    async def retire(self, log: str) -> None:
        """There is nothing to compress."""

    async def delete(self, log: str) -> None:
        if stored := self._logs.pop(log, None):
            stored.gone = True
            stored.wake()
