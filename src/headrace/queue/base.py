"""
The contract of queues: they wake workers.

The database row and its lease are the truth about who works on a build. A delivery may be late, lost or doubled, and
changes nothing then.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

#: Takes a build id; returns when the work is done or was not to be had.
Handler = Callable[[str], Awaitable[None]]


class Queue(Protocol):
    async def enqueue(self, build_id: str) -> None:
        """Wake a worker for this build."""
        ...

    async def cancel(self, build_id: str) -> None:
        """Tell whoever works on it to look at the row's cancel flag now. May be called at any time, also twice."""
        ...

    async def work(self, handler: Handler) -> None:
        """Take builds until cancelled. Returns only when no handler is running."""
        ...
