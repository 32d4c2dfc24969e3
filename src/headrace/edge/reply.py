"""One answer on its way out, in ASGI messages."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from headrace.edge import pages
from headrace.edge.answer import RawHeaders
from headrace.edge.request import Request

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: How much of a large file is on its way to one visitor at a time.
PIECE = 256 * 1024


class Reply:
    """`deployment` names itself in answers that the edge makes up."""

    def __init__(self, request: Request, receive: Receive, send: Send) -> None:
        self._request = request
        self._receive = receive
        self._send = send
        self.deployment: str | None = None
        self.head_only = request.method == "HEAD"

    async def start(self, status: int, headers: RawHeaders, body: bytes) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": b"" if self.head_only else body})

    async def send(self, status: int, headers: RawHeaders, body: bytes | None = None) -> None:
        """An answer of the edge's own; `body` None is no body at all."""
        length = () if body is None else ((b"content-length", b"%d" % len(body)),)
        await self.start(status, (*headers, *length, *self._named()), body or b"")

    async def problem(self, problem: pages.Problem, more: RawHeaders = ()) -> None:
        headers, body = pages.render(problem, self._request.accept, (*more, *self._named()))
        await self.start(problem.status, headers, body)

    async def stream(self, status: int, headers: RawHeaders, first: bytes, pieces: AsyncIterator[bytes]) -> None:
        """Send as fast as the visitor reads, and stop when he leaves."""
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        gone = asyncio.create_task(self._gone())
        try:
            piece: bytes | None = first
            while piece:
                for start in range(0, len(piece), PIECE):
                    if gone.done():
                        return
                    await self._send(
                        {"type": "http.response.body", "body": piece[start : start + PIECE], "more_body": True}
                    )
                piece = await anext(pieces, None)
            await self._send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _named(self) -> RawHeaders:
        return ((b"x-headrace-deployment", self.deployment.encode()),) if self.deployment else ()
