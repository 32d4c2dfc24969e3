"""
A refusal to somebody who is still sending: it is said, the rest is let pass for a while, and the connection ends.

Hanging up at once would reach most clients before the refusal does; not hanging up would leave the connection to a sender
without an end.
"""

import asyncio
from time import monotonic

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Seconds and bytes that are read without a word about it: what is on its way already costs less than a new connection.
_AT_ONCE = (0.05, 256 * 1024)
#: The same after the refusal. A sender that has not looked by then will not.
_PATIENCE = (5.0, 16 * 1024 * 1024)
_IDLE_SECONDS = 1.0


class LastWord:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        if "content-length" in headers or "transfer-encoding" in headers:
            exchange = _Exchange(receive, send, waits=headers.get("expect", "").lower() == "100-continue")
            await self._app(scope, exchange.receive, exchange.send)
        else:
            await self._app(scope, receive, send)


class _Exchange:
    def __init__(self, receive: Receive, send: Send, *, waits: bool) -> None:
        self._receive = receive
        self._send = send
        #: The client sends nothing before it is asked to, which reading does.
        self._waits = waits
        self._heard_all = False
        self._hangs_up = False

    async def receive(self) -> Message:
        self._waits = False
        message = await self._receive()
        self._heard_all = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            await self._let_pass(*_AT_ONCE)
            self._hangs_up = not self._heard_all
            if self._hangs_up:
                MutableHeaders(scope=message)["Connection"] = "close"
        if self._hangs_up and message["type"] == "http.response.body" and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._let_pass(*_PATIENCE)
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _let_pass(self, seconds: float, most: int) -> None:
        end = monotonic() + seconds
        while not (self._heard_all or self._waits) and most > 0 and (left := min(_IDLE_SECONDS, end - monotonic())) > 0:
            try:
                message = await asyncio.wait_for(self.receive(), left)
            except TimeoutError:
                return
            most -= len(message.get("body", b""))
