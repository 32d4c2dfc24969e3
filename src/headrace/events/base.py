"""
The contract of event logs: append, read, follow.

A log belongs to one build, or to one project's preview. Appends get consecutive numbers from 1, whoever appends, in whichever process. What `append`
has returned survives the death of every process. A closed log takes no more events.
"""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from headrace.model.event import Event, Recorded

#: An event of one kind of log: a build's, or a preview's.
Fact = TypeVar("Fact", bound=Recorded)


class EventLog(Protocol):
    async def append(self, log: str, events: Sequence[Fact], *, close: bool = False) -> Sequence[Fact]:
        """
        The events as stored, with `seq` and `ts`. `close` marks the log as ended in the same write.
        Raises Conflict when the log is closed.
        """
        ...

    async def read(self, log: str, *, after: int = 0, limit: int = 1000, lines: bool = True) -> Sequence[Event]:
        """
        Of a build's log, up to `limit` events with `seq` greater than `after`. Empty for an unknown log.

        Without `lines`, what commands printed is left out, at the cost of reading over it.
        """
        ...

    def read_bytes(self, log: str, *, after: int = 0, follow: bool = False) -> AsyncGenerator[bytes, None]:
        """
        The stored NDJSON after event `after`, in pieces that end at line ends. With `follow` it goes on until the log is
        closed. A reader that is slow or leaves costs the writers nothing; one that leaves early closes the generator.
        """
        ...

    async def last(self, log: str) -> int:
        """`seq` of the last event; 0 for an unknown log."""
        ...

    async def closed(self, log: str) -> bool:
        """Whether the log has ended. False for an unknown log."""
        ...

    def path(self, log: str) -> Path:
        """
        The event file that a supervisor on this machine appends to. Raises Unavailable when this log keeps no files, and
        NotFound for a name that no log can have.
        """
        ...

    async def retire(self, log: str) -> None:
        """Compress a closed log. Reading it goes on working. Nothing happens when it is open or already compressed."""
        ...

    async def delete(self, log: str) -> None: ...
