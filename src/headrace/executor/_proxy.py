"""
The way out of a sandbox: an HTTP proxy that listens on the sandbox's loopback and connects from the machine's network.

The socket is made inside the network namespace, the process that serves it is outside: nothing in the sandbox needs a
resolver, an interface or a right. A child of the supervisor that ends with it. Standard library only.
"""

import os
import select
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path

from headrace import linux
from headrace.errors import HeadraceError
from headrace.eventfile import EventFile
from headrace.executor._egress import Denied, Destination, Policy, parse_authority
from headrace.executor._instructions import Instructions
from headrace.executor._output import event_record

_PORT = 3128
_CONNECTIONS = 256
_HEAD_BYTES = 64 * 1024
_PIECE = 256 * 1024
_CONNECT_SECONDS = 30.0
_IDLE_SECONDS = 300.0
#: How often a destination's refusal is explained; after that the connection is closed without a word.
_ANSWERED_REFUSALS = 2
#: A command may knock at doors for hours; all are refused, and the log says so this often.
_DENIALS = 1000
_OWN_HEADERS = (b"proxy-connection", b"proxy-authorization", b"connection", b"keep-alive")


def make_network(at: str) -> socket.socket:
    """
    A new network namespace, with loopback up, mounted at the file `at`; and a socket that listens in it.
    The calling process, which has one thread, stays in its own.
    """
    outside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    linux.unshare(linux.CLONE_NEWNET)
    try:
        linux.loopback_up()
        listener = socket.create_server(("127.0.0.1", _PORT), backlog=_CONNECTIONS)
        Path(at).touch(mode=0o600)
        linux.mount("/proc/self/ns/net", at, "none", linux.MS_BIND)
    finally:
        linux.enter_namespace(outside, linux.CLONE_NEWNET)
        os.close(outside)
    return listener


def start_proxy(listener: socket.socket, instructions: Instructions) -> int:
    """The proxy's process id. It ends when this process does."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        listener.close()
        return pid
    try:
        linux.die_with_parent(signal.SIGKILL)
        if os.getppid() == parent:
            _keep_only(listener.fileno())
            _Proxy(instructions).serve(listener)
    finally:
        os._exit(1)


def _keep_only(descriptor: int) -> None:
    """The supervisor's lock and pipes must not live on in here."""
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, 4096)


class _Proxy:
    def __init__(self, instructions: Instructions) -> None:
        assert instructions.egress  # noqa: S101
        self._policy = Policy(instructions.egress.phase, instructions.egress.hosts)
        self._about = instructions.origin.fields
        self._log = EventFile(Path(instructions.log))
        self._denials = 0
        self._refused: dict[Destination, int] = {}
        self._places = threading.BoundedSemaphore(_CONNECTIONS)

    def serve(self, listener: socket.socket) -> None:
        while True:
            self._places.acquire()
            try:
                client, _ = listener.accept()
            except OSError:
                self._places.release()
                continue
            threading.Thread(target=self._serve_one, args=(client,), daemon=True).start()

    def _serve_one(self, client: socket.socket) -> None:
        try:
            with client, suppress(OSError):
                self._exchange(client)
        finally:
            self._places.release()

    def _exchange(self, client: socket.socket) -> None:
        client.settimeout(_CONNECT_SECONDS)
        try:
            where, onward = _parse_request(_read_head(client))
        except ValueError:
            _answer(client, "400 Bad Request", "this proxy takes CONNECT host:port and http:// addresses")
            return
        try:
            server = self._connect(where)
        except Denied as exc:
            self._record(where, str(exc))
            self._refuse(client, where, "403 Forbidden", f"egress.denied: {where.host}:{where.port}: {exc}")
            return
        except OSError as exc:
            self._refuse(client, where, "502 Bad Gateway", f"{where.host}:{where.port} can't be reached: {exc}")
            return
        with server:
            if onward is None:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                server.sendall(onward)
            _both_ways(client, server)

    def _refuse(self, client: socket.socket, where: Destination, status: str, text: str) -> None:
        # npm 10 and 11 ask again without end when a CONNECT is answered with a status; a closed connection ends them.
        self._refused[where] = self._refused.get(where, 0) + 1
        if self._refused[where] <= _ANSWERED_REFUSALS:
            _answer(client, status, text)

    def _connect(self, where: Destination) -> socket.socket:
        self._policy.check_name(where)
        found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
        # What is checked is what is connected to: no second look at the name.
        addresses = self._policy.check_addresses(where, [str(entry[4][0]) for entry in found])
        for number, address in enumerate(addresses):
            try:
                return socket.create_connection((address, where.port), timeout=_CONNECT_SECONDS)
            except OSError:
                if number == len(addresses) - 1:
                    raise
        raise OSError("no address")

    def _record(self, where: Destination, why: str) -> None:
        self._denials += 1
        if self._denials > _DENIALS:
            return
        # A log that has ended, or can't grow, takes no more; the answer is the same.
        with suppress(OSError, HeadraceError):
            self._log.append([event_record("egress.denied", self._about, host=where.host, port=where.port, why=why)])


def _read_head(client: socket.socket) -> bytes:
    """The request's head, with what already follows it. Raises ValueError when there is none."""
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = client.recv(_PIECE)
        head += chunk
        if not chunk or len(head) > _HEAD_BYTES:
            raise ValueError("no head of a request")
    return head


def _parse_request(request: bytes) -> tuple[Destination, bytes | None]:
    """Where a request wants to go; what to send there, None for a tunnel. Raises ValueError."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, _, headers = head.partition(b"\r\n")
    method, target, version = line.decode("ascii").split(" ")
    if method == "CONNECT":
        return parse_authority(target, 443), None
    scheme, _, rest = target.partition("://")
    authority, slash, path = rest.partition("/")
    if scheme != "http" or not version.startswith("HTTP/1."):
        raise ValueError(target)
    # One request for each connection: then nothing has to be understood but its head.
    kept = [h for h in headers.split(b"\r\n") if h and h.partition(b":")[0].strip().lower() not in _OWN_HEADERS]
    own = f"{method} {slash or '/'}{path} HTTP/1.1".encode()
    return parse_authority(authority, 80), b"\r\n".join([own, *kept, b"Connection: close", b"", body])


def _answer(client: socket.socket, status: str, text: str) -> None:
    body = f"{text}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    client.sendall(head.encode() + body)


def _both_ways(client: socket.socket, server: socket.socket) -> None:
    """Bytes until both have ended, or neither has said anything for long."""
    other = {client.fileno(): (client, server), server.fileno(): (server, client)}
    poller = select.poll()
    for connection in (client, server):
        connection.settimeout(_IDLE_SECONDS)
        poller.register(connection, select.POLLIN)
    while other and (ready := poller.poll(_IDLE_SECONDS * 1000)):
        for descriptor, _ in ready:
            source, target = other[descriptor]
            if data := source.recv(_PIECE):
                target.sendall(data)
                continue
            poller.unregister(descriptor)
            del other[descriptor]
            target.shutdown(socket.SHUT_WR)
