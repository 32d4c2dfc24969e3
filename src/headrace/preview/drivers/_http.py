"""Asking a development server for a page, over a sandbox's loopback."""

import asyncio
import re
import socket
from typing import NamedTuple

from headrace.preview.base import Link

#: Enough to see what a page says of an error. The rest is not read.
_MOST = 256 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")


class Answer(NamedTuple):
    status: int
    text: str


async def ask(link: Link, port: int, path: str, seconds: float) -> Answer | None:
    """The answer to a GET, as a browser would ask; None when nobody listens. Raises TimeoutError."""
    try:
        connection = link.socket()
    except OSError:
        return None
    try:
        async with asyncio.timeout(seconds):
            return await _ask(connection, port, path)
    except OSError as exc:
        if isinstance(exc, TimeoutError):
            raise
        return None
    finally:
        connection.close()


async def _ask(connection: socket.socket, port: int, path: str) -> Answer | None:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, ("127.0.0.1", port))
    lines = (f"GET {path} HTTP/1.1", f"Host: localhost:{port}", "Accept: text/html", "Connection: close", "", "")
    await loop.sock_sendall(connection, "\r\n".join(lines).encode())
    data = bytearray()
    while len(data) < _MOST and (part := await loop.sock_recv(connection, 65536)):
        data += part
    status = _STATUS.match(data)
    if status is None:
        return None
    return Answer(int(status[1]), bytes(data).partition(b"\r\n\r\n")[2].decode("utf-8", "replace"))
