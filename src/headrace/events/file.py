"""Event logs as files of a directory. Other processes of this machine append to them and read them too."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import structlog

from headrace.disk import storage_errors
from headrace.errors import Conflict, NotFound
from headrace.eventfile import EventFile, NotFlushed, offset_after, read_state, retired_path, state_path
from headrace.events._records import decode, encode, numbered, stamped, without_lines
from headrace.events._retired import compress_log, open_retired
from headrace.events._tail import Tail
from headrace.events.base import Fact
from headrace.model.event import Event, Log
from headrace.model.preview import PreviewFact

_log = structlog.get_logger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,120}")
#: Logs kept open for appending. One that is let go too early is opened again.
_OPEN_FILES = 256


class FileEventLog:
    """The contract of `events.base` over `directory`. One instance belongs to one event loop."""

    def __init__(self, directory: Path, *, poll_seconds: float = 0.015) -> None:
        self._directory = directory
        self._poll_seconds = poll_seconds
        self._files: dict[str, EventFile] = {}
        self._tails: dict[str, Tail] = {}

    async def append(self, log: str, events: Sequence[Fact], *, close: bool = False) -> Sequence[Fact]:
        events = stamped(events)
        records = [encode(event) for event in events]
        # What a command prints may be lost with the power, like the command. A fact may not.
        # What a preview says is of use as long as it runs.
        durable = close or not all(isinstance(event, Log | PreviewFact) for event in events)
        first = await asyncio.to_thread(self._append, log, records, close, durable)
        if tail := self._tails.get(log):
            tail.refresh()
        return numbered(events, first)

    async def read(self, log: str, *, after: int = 0, limit: int = 1000, lines: bool = True) -> Sequence[Event]:
        found: list[bytes] = []
        async with aclosing(self.read_bytes(log, after=after)) as pieces:
            async for piece in pieces:
                records = piece.split(b"\n")[:-1]
                found += records if lines else without_lines(records)
                if len(found) >= limit:
                    break
        return decode(found[:limit])

    async def read_bytes(self, log: str, *, after: int = 0, follow: bool = False) -> AsyncGenerator[bytes, None]:
        path = self.path(log)
        async with self._tail(log, path) as tail:
            tail.refresh()
            # An open descriptor goes on working while the log is compressed. Only without one is the other form looked for.
            if not tail.state.size and (retired := await asyncio.to_thread(open_retired, path)):
                for frame in retired.frames_after(after):
                    yield await asyncio.to_thread(retired.read, frame, after)
                return
            if follow:
                await tail.grown(0)
            if tail.fd < 0:
                return
            offset = await asyncio.to_thread(offset_after, tail.fd, tail.state.size, after)
            while True:
                end = tail.state.size
                while offset < end:
                    piece = await tail.piece(offset)
                    offset += len(piece)
                    yield piece
                    # The others' turn: side by side, followers share what was read for one of them.
                    await asyncio.sleep(0)
                if not follow or (tail.ended and offset >= tail.state.size):
                    return
                await tail.grown(offset)

    async def last(self, log: str) -> int:
        return (await asyncio.to_thread(self._state, log))[0]

    async def closed(self, log: str) -> bool:
        return (await asyncio.to_thread(self._state, log))[1]

    def path(self, log: str) -> Path:
        if not _NAME.fullmatch(log):
            raise NotFound(f"there is no log {log[:200]!r}")
        return self._directory / f"{log}.ndjson"

    async def retire(self, log: str) -> None:
        path = self.path(log)
        self._let_go(log)
        await asyncio.to_thread(compress_log, path)

    async def delete(self, log: str) -> None:
        path = self.path(log)
        self._let_go(log)
        for file in (retired_path(path), path, state_path(path)):
            with suppress(FileNotFoundError):
                file.unlink()
        if tail := self._tails.get(log):
            tail.check_gone()

    def _append(self, log: str, records: Sequence[bytes], close: bool, durable: bool) -> int:
        file = self._files.get(log) or self._files.setdefault(log, EventFile(self.path(log)))
        while len(self._files) > _OPEN_FILES:
            self._let_go(next(iter(self._files)))
        try:
            with storage_errors():
                first = file.append(records, close=close, durable=durable)
        except NotFlushed as exc:
            _log.error("a log may lose its end with the power", log=log, error=str(exc))
            first = exc.first
        except Conflict:
            self._let_go(log)
            raise
        if close:
            self._let_go(log)
        return first

    def _let_go(self, log: str) -> None:
        if file := self._files.pop(log, None):
            file.close()

    def _state(self, log: str) -> tuple[int, bool]:
        path = self.path(log)
        state = read_state(path)
        if not state.size and (retired := open_retired(path)):
            return retired.last_seq, True
        return state.last_seq, state.closed

    @asynccontextmanager
    async def _tail(self, log: str, path: Path) -> AsyncIterator[Tail]:
        tail = self._tails.get(log) or self._tails.setdefault(log, Tail(path, self._poll_seconds))
        tail.followers += 1
        try:
            yield tail
        finally:
            tail.followers -= 1
            if not tail.followers:
                del self._tails[log]
                await tail.close()
