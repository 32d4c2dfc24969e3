"""The connection to a driver's program in the sandbox: orders out, answers in, as lines of JSON."""

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from typing import Any

from headrace.preview.base import Link

#: A line may hold a source map.
_LARGEST_LINE = 64 * 1024 * 1024
_BETWEEN_TRIES = 0.01


class Lost(Exception):
    """The program doesn't answer any more. The text says why, for people."""


class Control:
    """One connection. `first` comes before `ask`; answers are matched by their number."""

    def __init__(self, link: Link, port: int, heard: Callable[[Mapping[str, Any]], None]) -> None:
        self._link = link
        self._port = port
        self._heard = heard
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._first: asyncio.Future[Mapping[str, Any]] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def first(self, seconds: float) -> Mapping[str, Any]:
        """What the program says of its start. Raises Lost."""
        self._first = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._connect()
                return await self._first
        except TimeoutError:
            raise Lost(f"it was not ready after {seconds:.0f} s") from None

    async def ask(self, seconds: float, **order: object) -> Mapping[str, Any]:
        """The answer to one order. Raises Lost."""
        if not self._connected():
            raise Lost("the connection to it is lost")
        self._number += 1
        number = self._number
        future: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._send({"n": number, **order})
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise Lost(f"it did not answer within {seconds:.0f} s") from None
        finally:
            self._waiting.pop(number, None)

    def tell(self, **news: object) -> None:
        """What needs no answer. A connection that is lost is noticed by the next order."""
        if self._connected():
            self._send(news)

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait({self._reader})
        if self._writer is not None:
            self._writer.close()

    def _connected(self) -> bool:
        return self._reader is not None and not self._reader.done()

    def _send(self, message: Mapping[str, object]) -> None:
        assert self._writer is not None  # noqa: S101 - connected
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def _connect(self) -> None:
        while True:
            if self._link.ended:
                raise Lost("it ended before it was ready")
            connection = self._link.socket()
            try:
                await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self._port))
            except OSError:
                connection.close()
                await asyncio.sleep(_BETWEEN_TRIES)
                continue
            except BaseException:
                connection.close()
                raise
            # Otherwise an order would wait for the answer of the other side's kernel to what was told before: 40 ms.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader, self._writer = await asyncio.open_connection(sock=connection, limit=_LARGEST_LINE)
            self._reader = asyncio.create_task(self._read(reader))
            return

    async def _read(self, reader: asyncio.StreamReader) -> None:
        why = "the connection to it is lost"
        try:
            while line := await reader.readline():
                self._take(json.loads(line))
        except (OSError, ValueError) as exc:
            # Whoever talks there is a tenant's process: what isn't a line of JSON ends the conversation.
            why = f"the connection to it is lost ({exc})"
        finally:
            for future in (*self._waiting.values(), *([self._first] if self._first else [])):
                if not future.done():
                    future.set_exception(Lost(why))
                    # Nobody may be waiting for the first message any more.
                    future.exception()

    def _take(self, message: object) -> None:
        if not isinstance(message, dict):
            raise ValueError("not an object")
        if message.get("event") == "first":
            if self._first is not None and not self._first.done():
                self._first.set_result(message)
        elif "event" in message:
            self._heard(message)
        elif (future := self._waiting.get(message.get("n", -1))) is not None and not future.done():
            future.set_result(message)
