"""What the edge gets for a visitor of a preview: all it needs to answer, and nothing else."""

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from headrace.model.digest import Digest
from headrace.model.preview import PreviewState
from headrace.model.project import Project


async def _no_map(_: str) -> bytes | None:
    return None


@dataclass(frozen=True)
class Upstream:
    """A development server in a sandbox. `id` changes with each one: connections to an old one are of no use."""

    id: str
    port: int
    #: A new non-blocking TCP socket in the sandbox's network: connect it to 127.0.0.1 and `port`.
    socket: Callable[[], socket.socket]
    #: What it must see as `Host`, and as the host of `Origin`; None when it takes every name.
    host: str | None = None


@dataclass(frozen=True)
class Visit:
    project: Project
    state: PreviewState
    #: Signs this server's links and cookies.
    secret: bytes
    #: The manifest that is shown; the edge reads it and its files from the store it was given. None while there is none.
    manifest: Digest | None = None
    #: Where requests go in dev mode; wins over `manifest`.
    upstream: Upstream | None = None
    #: The source map of a file of the page (`assets/index-abc.js`), if there is one.
    maps: Callable[[str], Awaitable[bytes | None]] = _no_map
    #: A version was asked for that failed, or did not come in time.
    missed: bool = False
    #: Somebody put it to sleep, and this request does not wake it.
    rests: bool = False
