"""The door for a preview's facts: written in the order in which they were said, without anybody waiting for the disk."""

import asyncio
from datetime import UTC, datetime

import structlog

from headrace.errors import HeadraceError
from headrace.events.base import EventLog
from headrace.model.preview import PreviewEvent

_log = structlog.get_logger(__name__)

#: A preview's log goes on over all its lives. From this size on the next life begins a new one.
LARGE_BYTES = 32 * 1024 * 1024
#: What pages say counts for nothing beyond this size: they say it as often as they like.
MOST_BYTES = 64 * 1024 * 1024


class Facts:
    """For one event loop."""

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._pending: dict[str, list[PreviewEvent]] = {}
        self._writing: dict[str, asyncio.Task[None]] = {}

    def is_full(self, project_id: str) -> bool:
        return self._size(project_id) > MOST_BYTES

    async def begin_life(self, project_id: str) -> None:
        """Before a builder is started: a log that has grown large begins anew. Nobody else appends to it now."""
        if self._size(project_id) > LARGE_BYTES:
            await self._events.delete(project_id)

    def say(self, event: PreviewEvent) -> None:
        """Note a fact. Its time is now."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        log = event.project_id
        self._pending.setdefault(log, []).append(event.model_copy(update={"ts": now}))
        if log not in self._writing:
            self._writing[log] = asyncio.create_task(self._write(log))

    async def flush(self) -> None:
        """Wait until everything that was said so far is written."""
        await asyncio.gather(*self._writing.values())

    def _size(self, project_id: str) -> int:
        try:
            return self._events.path(project_id).stat().st_size
        except (HeadraceError, OSError):
            return 0

    async def _write(self, log: str) -> None:
        try:
            while batch := self._pending.pop(log, None):
                try:
                    await self._events.append(log, batch)
                except (HeadraceError, OSError):
                    # A full disk must not take a page down that is in memory.
                    _log.exception("facts of a preview are lost", project_id=log, facts=len(batch))
        finally:
            del self._writing[log]
