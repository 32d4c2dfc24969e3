"""Connections to servers behind the edge, kept open between requests: one client session for each of them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

#: A session that nobody uses for so long is closed.
IDLE_SECONDS = 60.0
#: Visitors of one server at a time, counting open WebSockets. Beyond that somebody wants to use up our descriptors.
MOST_AT_ONCE = 512

#: Node closes idle connections after 5 seconds; a request on its way just then would be lost.
_KEEP_SECONDS = 4.0
_CONNECT_SECONDS = 5.0


class Busy(Exception):
    """Too many visitors at once."""


@dataclass(frozen=True)
class Destination:
    """A server: `id` changes with every new one. Its connections begin with `make_socket`, where it can't be reached directly."""

    id: str
    #: Host and port to connect to.
    address: str
    #: What the server is told it is called; None for what the visitor calls it.
    host: str | None = None
    make_socket: Callable[[], socket.socket] | None = None


class _Open:
    def __init__(self, destination: Destination) -> None:
        self.id = destination.id
        make = destination.make_socket
        connector = TCPConnector(
            limit=0,
            keepalive_timeout=_KEEP_SECONDS,
            socket_factory=(lambda _: make()) if make else None,
        )
        self.client = ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            timeout=ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        )
        self.users = 0
        self.retired = False
        self.timer: asyncio.TimerHandle | None = None


class Upstreams:
    """For one event loop."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle = idle_seconds
        self._open: dict[str, _Open] = {}
        #: Those in `_open`, and retired ones that somebody still uses.
        self._all: set[_Open] = set()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        return len(self._open)

    @asynccontextmanager
    async def use(self, owner: str, destination: Destination) -> AsyncIterator[ClientSession]:
        """The session to `owner`'s server. One to a server that he had before ends with its last user. Raises Busy."""
        session = self._open.get(owner)
        if session is not None and session.id != destination.id:
            self._retire(owner, session)
            session = None
        if session is None:
            session = self._open[owner] = _Open(destination)
            self._all.add(session)
        if session.users >= MOST_AT_ONCE:
            raise Busy
        if session.timer is not None:
            session.timer.cancel()
            session.timer = None
        session.users += 1
        try:
            yield session.client
        finally:
            session.users -= 1
            if session.retired:
                self._close_unused(session)
            elif not session.users:
                session.timer = asyncio.get_running_loop().call_later(self._idle, self._retire, owner, session)

    def stop(self) -> None:
        """Cut every connection: some would never end by themselves."""
        self._open.clear()
        for session in list(self._all):
            session.retired = True
            if session.timer is not None:
                session.timer.cancel()
            self._close(session)

    async def aclose(self) -> None:
        self.stop()
        await asyncio.gather(*self._closing)

    def _retire(self, owner: str, session: _Open) -> None:
        session.retired = True
        if session.timer is not None:
            session.timer.cancel()
        if self._open.get(owner) is session:
            del self._open[owner]
        self._close_unused(session)

    def _close_unused(self, session: _Open) -> None:
        if session.users == 0:
            self._close(session)

    def _close(self, session: _Open) -> None:
        if session in self._all:
            self._all.discard(session)
            task = asyncio.create_task(session.client.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
