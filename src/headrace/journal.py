"""
The one door for facts: an event goes to the build's log, and then the rows say what the log says.

The log is the truth. Both writes happen while the database's write lock is held, so rows take events in the order of
the log, and no worker can claim the build between the check of a lease and the write. A crash between the two leaves
the row behind its log; `replay` brings it up. Whoever takes a build over calls it first.
"""

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from headrace.errors import HeadraceError, LeaseLost, NotFound, found
from headrace.events.base import EventLog
from headrace.model.build import Build, BuildStatus
from headrace.model.event import BuildCompleted, BuildCreated, BuildStarted, CacheDecision, CancelRequested, Event
from headrace.model.fold import apply, started
from headrace.model.job import Lease
from headrace.model.trust import Trust
from headrace.records import builds, decisions, results
from headrace.records.database import Database

_log = structlog.get_logger(__name__)

#: Called with each event after it is stored. Must not block.
Listener = Callable[[Event], None]
#: Whether something is to be recorded, decided in the transaction that records it. May raise to refuse.
Decides = Callable[[AsyncConnection, Build], Awaitable[bool]]

#: The facts of one build: hundreds.
_ALL = sys.maxsize


class Journal:
    def __init__(self, db: Database, events: EventLog, *, before_writing: Callable[[], None] = lambda: None) -> None:
        """`before_writing` may make room on the disk."""
        self._db = db
        self._events = events
        self._before_writing = before_writing
        self._listeners: list[Listener] = []
        #: Builds whose row may have missed an event that this process appended.
        self._behind: set[str] = set()

    def listen(self, listener: Listener) -> None:
        """Have `listener` called, in this process, with each event that is recorded through this journal."""
        self._listeners.append(listener)

    async def record(self, event: Event, *, lease: Lease | None = None, close: bool = False) -> Event:
        """
        Append the event and apply it to the rows; the event as stored.

        With a lease, raises LeaseLost and changes nothing when another worker has the build. `close` ends the log.
        Raises Conflict when the log is closed, NotFound for a build that is unknown and not created by this event.
        """
        return (await self.record_all([event], lease=lease, close=close))[0]

    async def record_all(
        self,
        events: Sequence[Event],
        *,
        lease: Lease | None = None,
        close: bool = False,
        decides: Decides | None = None,
    ) -> Sequence[Event]:
        """
        Several events of one build, in one append and one transaction. `decides` is asked first, with the build as its log says;
        nothing is recorded, and returned, when it says no.
        """
        build_id = events[0].build_id
        self._before_writing()
        if decides is not None:
            await self.replay(build_id)  # what there is to read is read outside the lock
        stored: Sequence[Event] = ()
        try:
            async with self._db.write(durable=False) as c:
                build = await self._of_holder(c, events[0], lease)
                if build_id in self._behind or decides is not None:
                    build = await _catch_up(c, build, await self._missed(build_id, build.seen if build else 0))
                if decides is not None and not await decides(c, found(build, build_id)):
                    return ()
                events = await _decided(c, events)
                # Whatever goes wrong from here on, the log may have the events while the row has not.
                self._behind.add(build_id)
                stored = await self._events.append(build_id, events, close=close)
                await _absorb(c, build, stored)
            self._behind.discard(build_id)
        except HeadraceError as exc:
            if not stored:
                raise
            # They are facts. Whoever was told otherwise would say them again.
            _log.warning("a row is behind its log", build_id=build_id, error=str(exc))
        self._tell(stored)
        return stored

    async def _of_holder(self, c: AsyncConnection, first: Event, lease: Lease | None) -> Build | None:
        build = await builds.get(c, first.build_id, lock=True)
        if lease is not None and not (lease.build_id == first.build_id and await builds.holds(c, lease)):
            raise LeaseLost(f"{lease.worker} no longer holds {first.build_id}")
        if build is None and not isinstance(first, BuildCreated):
            raise NotFound(f"no build {first.build_id}")
        return build

    async def replay(self, build_id: str) -> Build | None:
        """Apply what the log has and the row has not seen; the build after it. Safe to repeat, and cheap when done."""
        async with self._db.read() as c:
            build = await builds.get(c, build_id)
        # Before the lock: there may be millions of lines to read over, and nobody could write meanwhile.
        missed = await self._missed(build_id, build.seen if build else 0)
        if build is not None and missed.up_to <= build.seen:
            return build
        async with self._db.write(durable=False) as c:
            build = await _catch_up(c, await builds.get(c, build_id, lock=True), missed)
            build = await _catch_up(c, build, await self._missed(build_id, missed.up_to))
        self._behind.discard(build_id)
        return build

    async def _missed(self, build_id: str, seen: int) -> "_Missed":
        up_to = await self._events.last(build_id)
        if up_to <= seen:
            return _Missed([], seen)
        return _Missed(await self._events.read(build_id, after=seen, limit=_ALL, lines=False), up_to)

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            for listener in self._listeners:
                try:
                    listener(event)
                except Exception:
                    # A fact stays a fact, whatever somebody who counts facts makes of it.
                    _log.exception("a listener failed", type=event.type)


async def _decided(c: AsyncConnection, events: Sequence[Event]) -> Sequence[Event]:
    """
    Who asked for the end of a build was told that it is cancelled, and so it ends: unless there is a result, which is deployed
    behind the same lock, and only where nobody has asked.
    """
    last = events[-1]
    if not isinstance(last, BuildCompleted) or last.artifact is not None or last.status is BuildStatus.CANCELLED:
        return events
    if not await builds.cancel_requested(c, [last.build_id]):
        return events
    return [*events[:-1], last.but(status=BuildStatus.CANCELLED, failure=None)]


class _Missed(NamedTuple):
    """Events but lines of commands, which change no row."""

    events: Sequence[Event]
    #: Number of the last event of the log, of whatever kind, when they were read.
    up_to: int


async def _catch_up(c: AsyncConnection, build: Build | None, missed: _Missed) -> Build | None:
    # Others may have written since they were read.
    unseen = [event for event in missed.events if build is None or event.seq > build.seen]
    build = await _absorb(c, build, unseen) if unseen else build
    # A claim is not flushed, its first fact is: when the power went, the row may have forgotten it.
    for event in unseen:
        if isinstance(event, BuildStarted):
            await builds.raise_fence(c, event.build_id, event.fence)
    if build is not None and build.seen < missed.up_to:
        build = build.model_copy(update={"seen": missed.up_to})
        await builds.save(c, build)
    return build


async def _absorb(c: AsyncConnection, build: Build | None, events: Sequence[Event]) -> Build | None:
    """The fold, and what else the events imply. The build after them."""
    for event in events:
        if build is not None:
            build = apply(build, event)
        elif isinstance(event, BuildCreated):
            build = started(event)
    if build is None:
        return None
    await builds.save(c, build)
    for event in events:
        await _imply(c, build, event)
    return build


async def _imply(c: AsyncConnection, build: Build, event: Event) -> None:
    match event:
        case CancelRequested():
            await builds.request_cancel(c, build.id)
        case CacheDecision():
            await decisions.save(c, event)
            # What a trusted build's miss is explained with is no business of strangers.
            if build.options.trust is Trust.TRUSTED:
                await results.save_inputs(c, build.project_id, event.cache, event.key)
        case BuildCompleted(status=BuildStatus.SUCCEEDED, result_key=str(digest), artifact=str(artifact), cached=False):
            # The key's inputs are those of the decision that this build's result was not there.
            made = [d.key for d in await decisions.of_build(c, build.id) if d.key.digest == digest]
            for key in made[-1:]:
                await results.save(
                    c, key, build_id=build.id, artifact=artifact, seconds=event.seconds, project_id=build.project_id
                )
        case _:
            pass
