"""
Event streams over HTTP: NDJSON, or server-sent events where the client asks for them, from the same stored bytes.

A stream ends with its log, with its client, or when the server stops; nothing of it is left then.
"""

import asyncio
import random
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from headrace.errors import InvalidCursor
from headrace.eventfile import number_of
from headrace.events.base import EventLog
from headrace.loglines import BUILD_LOG

NDJSON = "application/x-ndjson"
SSE = "text/event-stream"
#: A comment this often keeps proxies from closing a quiet stream.
PING_SECONDS = 15.0

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_NUMBER = re.compile(r"\d{1,15}")


class Streams:
    """The event streams that a server has open."""

    def __init__(self, events: EventLog, *, ping_seconds: float = PING_SECONDS) -> None:
        self._events = events
        self._ping_seconds = ping_seconds
        self._senders: set[asyncio.Task[None]] = set()
        self.closing = False

    async def respond(self, request: Request, log: str, *, follow: bool) -> Response:
        """
        The events of `log` behind the place that the request names (see `cursor`), in the form that it accepts.
        Raises InvalidCursor for a place that the log does not have.
        """
        after = cursor(request)
        if after and after > (last := await self._events.last(log)):
            raise InvalidCursor(
                f"event {after} does not exist: the last one is {last}", hint="start again without a place"
            )
        pieces = self._events.read_bytes(log, after=after, follow=follow)
        return EventStream(self, pieces, sse=accepts_sse(request), ping_seconds=self._ping_seconds)

    def close(self) -> None:
        """End all streams, each at the end of a line, so that clients come back elsewhere. For the start of a shutdown."""
        self.closing = True
        for sender in self._senders:
            sender.cancel()

    def opened(self, sender: asyncio.Task[None]) -> None:
        self._senders.add(sender)
        sender.add_done_callback(self._senders.discard)
        if self.closing:
            sender.cancel()

    def __len__(self) -> int:
        return len(self._senders)


class EventStream(Response):
    """One stream on its way to one client. `pieces` end at line ends."""

    def __init__(
        self, streams: Streams, pieces: AsyncGenerator[bytes, None], *, sse: bool, ping_seconds: float
    ) -> None:
        self.status_code = 200
        self.background = None
        self.media_type = SSE if sse else NDJSON
        self.init_headers(_HEADERS)
        self._streams = streams
        self._pieces = pieces
        self._sse = sse
        self._ping_seconds = ping_seconds
        self._sending = asyncio.Lock()
        self._last_sent = asyncio.get_running_loop().time()

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        sender = asyncio.create_task(self._send_all(send), name="stream")
        watcher = asyncio.create_task(_disconnected(receive), name="stream watcher")
        self._streams.opened(sender)
        try:
            while not (await asyncio.wait({sender, watcher}, timeout=self._pause(), return_when="FIRST_COMPLETED"))[0]:
                await self._ping(send)
        finally:
            gone = watcher.done()
            sender.cancel()
            watcher.cancel()
            await asyncio.gather(sender, watcher, return_exceptions=True)
        if not sender.cancelled() and (failure := sender.exception()):
            raise failure
        if not gone:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, send: Send) -> None:
        if self._sse:
            # Each client waits another time before it comes back, so that they don't all come at once.
            await self._send(send, b"retry: %d\n\n" % random.randint(1000, 4000))  # noqa: S311
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                await self._send(send, server_sent(piece) if self._sse else piece)
        if self._sse:
            # An EventSource would connect again for ever.
            await self._send(send, b"event: end\ndata: {}\n\n")

    async def _send(self, send: Send, body: bytes) -> None:
        async with self._sending:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        self._last_sent = asyncio.get_running_loop().time()

    async def _ping(self, send: Send) -> None:
        # A client that takes nothing now needs no sign of life.
        if not self._sending.locked() and self._quiet() >= self._ping_seconds:
            await self._send(send, b": ping\n\n")

    def _pause(self) -> float | None:
        """Seconds until a ping may be due; None for a form without pings."""
        return max(0.01, self._ping_seconds - self._quiet()) if self._sse else None

    def _quiet(self) -> float:
        return asyncio.get_running_loop().time() - self._last_sent


def cursor(request: Request) -> int:
    """
    The event after which a stream begins: the header `Last-Event-ID`, or `?after=` or `?last_event_id=`; 0 without.

    The header wins, because a browser sends it with the first address when it connects again. Raises InvalidCursor.
    """
    given = (
        request.headers.get("last-event-id")
        or request.query_params.get("after")
        or request.query_params.get("last_event_id")
        or "0"
    )
    if not _NUMBER.fullmatch(given):
        raise InvalidCursor(
            f"{given[:100]!r} is not the number of an event", hint="send the `seq` of the last event that you have"
        )
    return int(given)


def accepts_sse(request: Request) -> bool:
    """Whether the client asks for server-sent events. NDJSON is for all others."""
    return SSE in request.headers.get("accept", "")


@lru_cache(maxsize=16)
def server_sent(piece: bytes) -> bytes:
    """Stored lines as server-sent events. Followers share pieces, so the work is done once for all of them."""
    lines = piece.count(b"\n")
    if piece.count(BUILD_LOG) < lines:
        return b"".join([_one_server_sent(line) for line in piece.split(b"\n")[:-1]])
    # Log lines only, and numbers have no gaps: one formatting call for all of them.
    first = number_of(piece)
    template = b"\n" + piece.removesuffix(b"\n").replace(b"%", b"%%")
    framed = template.replace(b"\n", b"\n\nid: %d\nevent: build.log\ndata: ")
    return framed[2:] % tuple(range(first, first + lines)) + b"\n\n"


def _one_server_sent(line: bytes) -> bytes:
    # A record begins {"seq":N,"ts":"…","type":"…": the type is the second string value.
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (number_of(line), line.split(b'"', 10)[9], line)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
