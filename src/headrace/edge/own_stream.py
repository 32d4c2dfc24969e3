"""What pages of a preview hear: whether it is being made, shown or broken, and which version they would get now."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing

import orjson

from headrace.edge.previews import Previews
from headrace.edge.reply import Receive, Send
from headrace.events.base import EventLog
from headrace.model.preview import PreviewStatus
from headrace.preview.visit import Visit

PING_SECONDS = 20.0
_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
)
#: Records of the preview's log behind which it may stand otherwise.
_CHANGES = tuple(f'"type":"preview.{name}"'.encode() for name in ("started", "building", "ready", "failed", "asleep"))


class OwnStream:
    """The event streams that pages have open. For one event loop."""

    def __init__(self, events: EventLog, ping_seconds: float = PING_SECONDS) -> None:
        self._events = events
        self._ping_seconds = ping_seconds
        self._senders: set[asyncio.Task[None]] = set()
        self._closing = False

    async def run(self, visit: Visit, previews: Previews, receive: Receive, send: Send, *, head_only: bool) -> None:
        """Send until the page leaves, the project is gone, or the server stops. Browsers come back by themselves."""
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        if head_only or self._closing:
            return await send({"type": "http.response.body", "body": b""})
        sender = asyncio.create_task(self._send_all(visit, previews, send), name="page events")
        pings = asyncio.create_task(self._ping(send), name="page events: pings")
        gone = asyncio.create_task(_disconnected(receive), name="page events: watcher")
        self._senders.add(sender)
        try:
            await asyncio.wait({sender, pings, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._senders.discard(sender)
            left = gone.done()
            for task in (sender, pings, gone):
                task.cancel()
            await asyncio.gather(sender, pings, gone, return_exceptions=True)
        if not left:
            await send({"type": "http.response.body", "body": b""})
        return None

    def close(self) -> None:
        self._closing = True
        for sender in self._senders:
            sender.cancel()

    async def _send_all(self, visit: Visit, previews: Previews, send: Send) -> None:
        # Each page waits another time before it comes back, so that they don't all come at once.
        await _send(send, b"retry: %d\n\n" % random.randint(500, 2000))  # noqa: S311
        async for state in self._states(visit, previews):
            await _send(send, b"event: state\ndata: %b\n\n" % state)

    async def _states(self, visit: Visit, previews: Previews) -> AsyncIterator[bytes]:
        """How it stands, and then each time that this has changed."""
        log = previews.log(visit.project.id)
        # First the place in the log and then the state: what happens between is seen twice, not never.
        after = await self._events.last(log)
        told = None
        now = await previews.look(visit.project.slug)
        async with aclosing(self._events.read_bytes(log, after=after, follow=True)) as pieces:
            while now is not None and now.project.id == visit.project.id:
                state = _state(now)
                if state != told:
                    yield state
                    told = state
                async for piece in pieces:
                    if any(change in piece for change in _CHANGES):
                        break
                else:
                    return
                now = await previews.look(visit.project.slug)

    async def _ping(self, send: Send) -> None:
        while True:
            await asyncio.sleep(self._ping_seconds)
            await _send(send, b": ping\n\n")


def _state(visit: Visit) -> bytes:
    state = visit.state
    status = state.status
    if status is PreviewStatus.ASLEEP:
        # Who looks at a page does not see that its builder sleeps.
        status = PreviewStatus.READY if visit.manifest is not None else PreviewStatus.BUILDING
    version = state.served_version if status is PreviewStatus.READY else state.version
    return orjson.dumps({"status": status.value, "version": version})


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
