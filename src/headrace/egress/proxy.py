"""
An HTTP proxy that lets named hosts through, counts, and says who was refused. It takes `CONNECT host:port` and plain `http://`.

It knows names and sizes, and what a TLS client says before it begins: what is inside a tunnel stays between the two ends.
Standard library only: a child of the supervisor serves it.
"""

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Protocol

from headrace.egress.client_hello import MOST_BYTES, Incomplete, looks_like_tls, server_name
from headrace.egress.front import Asked, RegistryFront, asked_of, wants_tunnel
from headrace.egress.ledger import Ledger
from headrace.egress.lookup import Resolve, look_up, resolve
from headrace.egress.policy import Denied, Destination, Policy, is_address, parse_authority

#: Connections at the same time.
AT_ONCE = 256
_HEAD_BYTES = 64 * 1024
_PIECE = 256 * 1024
_CONNECT_SECONDS = 30.0
_IDLE_SECONDS = 300.0
#: How often a destination's refusal is explained; after that the connection is closed without a word.
_ANSWERED_REFUSALS = 2
#: A command may knock at doors for hours; all are refused, and the log says so this often.
_DENIALS = 1000
#: How often the process behind a connection is looked for.
_LOOKS = 200
#: New names that are looked up for a command in a minute. Each look tells a name server of somebody's choice what is in it.
_NAMES_A_MINUTE = 120
_OWN_HEADERS = (b"proxy-connection", b"proxy-authorization", b"connection", b"keep-alive", b"host")
_TUNNEL_IS_THERE = b"HTTP/1.1 200 Connection established\r\n\r\n"
_READS = ("GET", "HEAD")


class Caps(NamedTuple):
    """What one command may come to."""

    bytes: int
    #: Of those, sent.
    upload_bytes: int
    #: Let through or refused.
    connections: int


class Tell(Protocol):
    """Called with each fact, from any thread."""

    def __call__(self, kind: str, **fields: object) -> None: ...


#: The package whose process has this port of the sandbox, or nothing.
Who = Callable[[int], str]


class _Over(Exception):
    """A cap was met, or there is nobody at the other end: the connection ends."""


class Proxy:
    def __init__(
        self,
        policy: Policy,
        caps: Caps,
        ledger: Ledger,
        tell: Tell,
        who: Who,
        *,
        front: RegistryFront | None = None,
        resolve: Resolve = resolve,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        self._policy = policy
        self._caps = caps
        self._ledger = ledger
        self._tell = tell
        self._who = who
        self._front = front
        self._resolve = resolve
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._connections = self._up = self._down = self._denials = self._looks = 0
        self._over: str | None = None
        self._refused: dict[Destination, int] = {}
        self._missed: set[Destination] = set()
        self._names: set[str] = set()
        self._named_at: deque[float] = deque(maxlen=_NAMES_A_MINUTE)
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def serve(self, listener: socket.socket) -> None:
        """Until the listener is shut down and closed."""
        while True:
            self._places.acquire()
            try:
                client, (_, port) = listener.accept()
            except OSError:
                self._places.release()
                if listener.fileno() < 0:
                    return
                continue
            threading.Thread(target=self._serve_one, args=(client, port), daemon=True).start()

    def _serve_one(self, client: socket.socket, port: int) -> None:
        try:
            with client, suppress(OSError, _Over):
                self._exchange(client, port)
        finally:
            self._places.release()

    def _exchange(self, client: socket.socket, port: int) -> None:
        client.settimeout(_CONNECT_SECONDS)
        try:
            request = _read_head(client)
            if self._front is not None and (asked := self._asked(client, request)) is not None:
                self._ask_front(self._front, client, asked, port)
                return
            where, method, onward = _parse_request(request)
        except ValueError:
            _answer(client, "400 Bad Request", "this proxy takes CONNECT host:port and http:// addresses")
            return
        with self._opened(client, where, method, port) as server:
            package = self._package(port) if self._ledger.is_new(*where) else ""
            relay = _Relay(self, where, port, self._ledger.connected(*where, package))
            if onward is None:
                client.sendall(_TUNNEL_IS_THERE)
                try:
                    onward = self._first_words(client, where)
                except Denied as exc:
                    self._deny(where, port, str(exc))
                    return
            relay.count(up=len(onward))
            server.sendall(onward)
            relay.both_ways(client, server, self._idle_seconds)

    def _asked(self, client: socket.socket, request: bytes) -> Asked | None:
        """What is asked of the front. Raises ValueError for what it doesn't take."""
        if not wants_tunnel(request):
            return asked_of(request)
        client.sendall(_TUNNEL_IS_THERE)
        asked = asked_of(_read_head(client), in_tunnel=True)
        if asked is None:
            raise ValueError("a registry is only read here")
        return asked

    def _ask_front(self, front: RegistryFront, client: socket.socket, asked: Asked, port: int) -> None:
        where = Destination(front.registry, 443)

        def connect() -> tuple[socket.socket, _Relay]:
            server = self._opened(client, where, "GET", port)
            return server, _Relay(self, where, port, self._ledger.connected(*where, ""))

        front.answer(client, asked, connect)

    def _opened(self, client: socket.socket, where: Destination, method: str, port: int) -> socket.socket:
        """A new connection. Raises _Over when a cap was met, and when there can be none, after that was told and answered."""
        with self._lock:
            self._connections += 1
        self._check_cap("connections", self._connections, self._caps.connections, where, port)
        try:
            return self._connect(where, method)
        except Denied as exc:
            self._deny(where, port, str(exc))
            self._refuse(client, where, "403 Forbidden", f"egress.denied: {where.host}:{where.port}: {exc}")
            raise _Over from exc
        except OSError as exc:
            self._miss(where, port, exc.strerror or str(exc))
            self._refuse(client, where, "502 Bad Gateway", f"{where.host}:{where.port} can't be reached: {exc}")
            raise _Over from exc

    def _first_words(self, client: socket.socket, where: Destination) -> bytes:
        """What the client says first in a tunnel. Raises Denied when it asks for another host than the tunnel was let through for."""
        said = client.recv(_PIECE)
        if not looks_like_tls(said):
            if said and where.port == 443:
                raise Denied("only TLS is spoken at port 443")
            return said
        while True:
            try:
                name = server_name(said)
            except Incomplete:
                more = client.recv(_PIECE)
                said += more
                if not more or len(said) > 2 * MOST_BYTES:
                    raise Denied("its TLS handshake has no end") from None
                continue
            except ValueError:
                raise Denied("its TLS handshake can't be read") from None
            break
        if is_address(where.host) or name == where.host:
            return said
        # What stands there is the sandbox's word: shown as far as it is a name.
        shown = "no host" if name is None else name if name.isprintable() and len(name) <= 253 else "something else"
        raise Denied(f"its TLS handshake asks for {shown}")

    def _refuse(self, client: socket.socket, where: Destination, status: str, text: str) -> None:
        # npm 10 and 11 ask again without end when a CONNECT is answered with a status; a closed connection ends them.
        with self._lock:
            times = self._refused[where] = self._refused.get(where, 0) + 1
            if len(self._refused) > _DENIALS:
                self._refused.clear()
        if times <= _ANSWERED_REFUSALS:
            _answer(client, status, text)

    def _connect(self, where: Destination, method: str) -> socket.socket:
        self._policy.check_name(where)
        if method not in (*_READS, "CONNECT") and self._policy.only_reads:
            raise Denied(f"a registry is only read here, not sent a {method[:10]}")
        self._check_pace(where)
        # What is checked is what is connected to: no second look at the name.
        addresses = self._policy.check_addresses(where, list(look_up(where.host, where.port, self._resolve)))
        for number, address in enumerate(addresses):
            try:
                return socket.create_connection((address, where.port), timeout=_CONNECT_SECONDS)
            except OSError:
                if number == len(addresses) - 1:
                    raise
        raise OSError("no address")

    def _check_pace(self, where: Destination) -> None:
        if self._policy.is_configured(where):
            return
        with self._lock:
            if where.host in self._names:
                return
            now = time.monotonic()
            if len(self._named_at) == _NAMES_A_MINUTE and now - self._named_at[0] < 60:
                raise Denied(f"more than {_NAMES_A_MINUTE} different hosts in a minute")
            self._named_at.append(now)
            self._names.add(where.host)

    def _deny(self, where: Destination, port: int, why: str) -> None:
        with self._lock:
            self._denials += 1
            told = self._denials <= _DENIALS
        package = self._package(port)
        self._ledger.refused(*where, package)
        if told:
            self._tell("egress.denied", host=where.host, port=where.port, why=why, **_named(package))

    def _miss(self, where: Destination, port: int, why: str) -> None:
        with self._lock:
            told = where not in self._missed and len(self._missed) < _DENIALS
            self._missed.add(where)
        if told:
            self._tell("egress.unreachable", host=where.host, port=where.port, why=why, **_named(self._package(port)))

    def _package(self, port: int) -> str:
        with self._lock:
            self._looks += 1
            if self._looks > _LOOKS:
                return ""
        return self._who(port)

    def spend(self, where: Destination, port: int, *, up: int, down: int) -> None:
        """Counts bytes of a connection. Raises _Over."""
        with self._lock:
            self._up += up
            self._down += down
            total, sent = self._up + self._down, self._up
        self._check_cap("bytes", total, self._caps.bytes, where, port)
        self._check_cap("upload_bytes", sent, self._caps.upload_bytes, where, port)

    def _check_cap(self, name: str, value: int, most: int, where: Destination, port: int) -> None:
        if value <= most and self._over is None:
            return
        with self._lock:
            first, self._over = self._over is None, self._over or name
        if first:
            package = self._package(port)
            self._tell("egress.limit", limit=name, most=most, host=where.host, port=where.port, **_named(package))
        raise _Over


class _Relay:
    """The bytes of one connection."""

    def __init__(self, proxy: Proxy, where: Destination, port: int, row: int) -> None:
        self._proxy = proxy
        self._where = where
        self._port = port
        self._row = row

    def count(self, *, up: int = 0, down: int = 0) -> None:
        self._proxy._ledger.moved(self._row, up=up, down=down)
        self._proxy.spend(self._where, self._port, up=up, down=down)

    def both_ways(self, client: socket.socket, server: socket.socket, idle_seconds: float) -> None:
        """Bytes until both have ended, or neither has said anything for long."""
        other = {client.fileno(): (client, server), server.fileno(): (server, client)}
        poller = select.poll()
        for connection in (client, server):
            connection.settimeout(idle_seconds)
            poller.register(connection, select.POLLIN)
        while other and (ready := poller.poll(idle_seconds * 1000)):
            for descriptor, _ in ready:
                source, target = other[descriptor]
                if data := source.recv(_PIECE):
                    self.count(up=len(data) * (source is client), down=len(data) * (source is server))
                    target.sendall(data)
                    continue
                poller.unregister(descriptor)
                del other[descriptor]
                target.shutdown(socket.SHUT_WR)


def _named(package: str) -> dict[str, str]:
    return {"package": package} if package else {}


def _read_head(client: socket.socket) -> bytes:
    """The request's head, with what already follows it. Raises ValueError when there is none."""
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = client.recv(_PIECE)
        head += chunk
        if not chunk or len(head) > _HEAD_BYTES:
            raise ValueError("no head of a request")
    return head


def _parse_request(request: bytes) -> tuple[Destination, str, bytes | None]:
    """Where a request wants to go and how; what to send there, None for a tunnel. Raises ValueError."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, _, headers = head.partition(b"\r\n")
    method, target, version = line.decode("ascii").split(" ")
    if method == "CONNECT":
        return parse_authority(target, 443), method, None
    scheme, _, rest = target.partition("://")
    authority, slash, path = rest.partition("/")
    if scheme != "http" or not version.startswith("HTTP/1."):
        raise ValueError(target)
    # One request for each connection: then nothing has to be understood but its head. The host that was checked is the one
    # that the server hears.
    kept = [h for h in headers.split(b"\r\n") if h and h.partition(b":")[0].strip().lower() not in _OWN_HEADERS]
    own = [f"{method} {slash or '/'}{path} HTTP/1.1".encode(), f"Host: {authority}".encode()]
    return parse_authority(authority, 80), method, b"\r\n".join([*own, *kept, b"Connection: close", b"", body])


def _answer(client: socket.socket, status: str, text: str) -> None:
    body = f"{text}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    client.sendall(head.encode() + body)
