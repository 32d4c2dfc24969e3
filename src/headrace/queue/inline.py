"""A queue inside one process: an asyncio queue that wakes the embedded workers."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from headrace.queue.base import Handler

_log = structlog.get_logger(__name__)


class InlineQueue:
    """
    Wakes up to `at_once` handlers. A build that is waiting is not queued twice.

    `on_cancel` is called with the build id, so that its worker need not wait for its next look at the row.
    """

    def __init__(self, at_once: int, on_cancel: Callable[[str], None] | None = None) -> None:
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        self._known: set[str] = set()
        self._at_once = at_once
        self.on_cancel = on_cancel

    def __len__(self) -> int:
        return self._waiting.qsize()

    async def enqueue(self, build_id: str) -> None:
        if build_id not in self._known:
            self._known.add(build_id)
            self._waiting.put_nowait(build_id)

    async def cancel(self, build_id: str) -> None:
        if self.on_cancel:
            self.on_cancel(build_id)

    async def work(self, handler: Handler) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self._at_once):
                group.create_task(self._serve(handler))

    async def _serve(self, handler: Handler) -> None:
        while True:
            build_id = await self._waiting.get()
            self._known.discard(build_id)
            try:
                await handler(build_id)
            except Exception:  # a handler's fault must not take the other builds' worker with it
                _log.exception("handler failed", build_id=build_id)
                # One that fails while it is being cancelled, such as over a busy database, hides that.
                if (task := asyncio.current_task()) and task.cancelling():
                    raise asyncio.CancelledError from None
            finally:
                with suppress(ValueError):
                    self._waiting.task_done()
