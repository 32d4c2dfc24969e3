"""
A registry for one install: packages that were fetched before come from a directory, all else from the registry behind it.

An install asks for it by a name that only its proxy knows. What it fetches is put aside, and nothing of it is checked here: whoever
laid packages ready knew what was in them, and whoever takes those that were put aside compares them with the lock file. Standard
library only: a child of the supervisor serves it.
"""

import os
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

if TYPE_CHECKING:
    from headrace.egress.behind import Behind

#: The reserved last part is that of no host.
HOST = "packages.headrace.invalid"

_ASKED = re.compile(rb"(GET|HEAD) http://packages\.headrace\.invalid(/[!-~]*) HTTP/1\.[01]\r\n", re.IGNORECASE)
#: Some clients ask for a tunnel even to speak plain HTTP in it.
_TUNNEL = re.compile(rb"CONNECT packages\.headrace\.invalid:80 HTTP/1\.[01]\r\n", re.IGNORECASE)
_IN_TUNNEL = re.compile(rb"(GET|HEAD) (/[!-~]*) HTTP/1\.1\r\n")
#: No name begins with a dot, so none leads out of a directory.
_ARCHIVE = re.compile(r"/((?:@(?!\.)[\w.~-]+/)?(?!\.)[\w.~-]+/-/(?!\.)[\w.~+-]+\.tgz)", re.ASCII)
#: What an install may have put aside.
_MOST_ASIDE = 2 * 1024**3
#: Of an answer only this is told to the install.
_ANSWER = ("content-type", "content-encoding", "content-length", "etag", "last-modified", "cache-control", "vary")


class FrontPlan(NamedTuple):
    #: The host of the registry behind.
    registry: str
    #: Packages that are there, below it as a registry names them: `@scope/name/-/name-1.0.0.tgz`.
    given: str
    #: Where those that were fetched are put, with the same names.
    aside: str
    ca_file: str | None = None


class Asked(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]


class Counter(Protocol):
    """Counts bytes of a connection; raises what ends it."""

    def count(self, *, up: int = 0, down: int = 0) -> None: ...


#: A new connection to the registry, let through and counted by the proxy.
Connect = Callable[[], tuple[socket.socket, Counter]]


def wants_tunnel(request: bytes) -> bool:
    """Whether a request asks for a tunnel to the front."""
    return _TUNNEL.match(request) is not None


def asked_of(request: bytes, *, in_tunnel: bool = False) -> Asked | None:
    """What a request asks of the front; None when it asks somebody else, or something else."""
    found = (_IN_TUNNEL if in_tunnel else _ASKED).match(request)
    if not found:
        return None
    lines = request[found.end() :].partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Asked(found[1].decode().upper(), found[2].decode(), headers)


class RegistryFront:
    """Safe to use from many threads."""

    def __init__(self, plan: FrontPlan) -> None:
        self._plan = plan
        self._lock = threading.Lock()
        self._idle: list[Behind] = []
        self._put_aside = 0

    @property
    def registry(self) -> str:
        return self._plan.registry

    def answer(self, client: socket.socket, asked: Asked, connect: Connect) -> None:
        """Answer one request, whatever becomes of it. Raises OSError when one of the two ends has gone."""
        archive = _ARCHIVE.fullmatch(asked.path.replace("%2f", "/").replace("%2F", "/"))
        if archive and self._give(client, asked, Path(self._plan.given, archive[1])):
            return
        with self._behind(connect) as behind:
            self._pass_on(client, asked, behind, archive[1] if archive and asked.method == "GET" else None)

    def close(self) -> None:
        """Hang up on the registry. Only valid when nothing is answered any more."""
        while self._idle:
            self._idle.pop().close()

    def _give(self, client: socket.socket, asked: Asked, file: Path) -> bool:
        try:
            package = file.open("rb")
        except OSError:
            return False
        with package:
            size = file.stat().st_size
            client.sendall(_head(200, "OK", {"content-type": "application/octet-stream", "content-length": str(size)}))
            if asked.method == "GET":
                client.sendfile(package)
        return True

    def _pass_on(self, client: socket.socket, asked: Asked, behind: "Behind", archive: str | None) -> None:
        response = behind.ask(asked)
        headers = {name: value for name in _ANSWER if (value := response.headers.get(name)) is not None}
        client.sendall(_head(response.status, response.reason, headers))
        if archive is None or response.status != 200 or "content-encoding" in headers or self._put_aside > _MOST_ASIDE:
            for chunk in behind.chunks(response):
                client.sendall(chunk)
            return
        with _Aside(Path(self._plan.aside, archive)) as aside:
            for chunk in behind.chunks(response):
                client.sendall(chunk)
                aside.write(chunk)
        with self._lock:
            self._put_aside += aside.size

    @contextmanager
    def _behind(self, connect: Connect) -> Iterator["Behind"]:
        """A connection to the registry that nobody else uses. It is kept for the next question when its answer was read."""
        # Every supervisor imports this module, and few of their proxies ever speak TLS themselves.
        from headrace.egress.behind import Behind  # noqa: PLC0415

        with self._lock:
            behind = self._idle.pop() if self._idle else None
        behind = behind or Behind(self._plan.registry, self._plan.ca_file, connect)
        try:
            yield behind
        except BaseException:
            behind.close()
            raise
        if behind.reusable:
            with self._lock:
                self._idle.append(behind)


class _Aside:
    """A file that has its name once all was written to it. A disk that is full costs the next install time, and this one nothing."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._part = place.with_name(f".{os.urandom(8).hex()}")
        self._file: BinaryIO | None = None
        self.size = 0

    def __enter__(self) -> "_Aside":
        with suppress(OSError):
            self._place.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("xb")
        return self

    def write(self, chunk: bytes) -> None:
        if self._file is not None:
            try:
                self._file.write(chunk)
                self.size += len(chunk)
            except OSError:
                self._end(whole=False)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end(whole=kind is None)

    def _end(self, *, whole: bool) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError:
            whole = False
        with suppress(OSError):
            if whole:
                self._part.rename(self._place)
            else:
                self._part.unlink()


def _head(status: int, reason: str, headers: Mapping[str, str]) -> bytes:
    lines = (f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {reason}\r\n{''.join(lines)}connection: close\r\n\r\n".encode("latin-1", "replace")
