"""
Connections on which packets get lost, without a rule in the machine's network: a socket filter that lets each packet through by
chance. What it keeps out counts as never arrived, so TCP sends it again.

Source: Documentation/networking/filter.rst of Linux (`SKF_AD_RANDOM`), socket(7), pidfd_getfd(2).
"""

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from tests.server import Server

_SO_ATTACH_FILTER = 26
_PIDFD_GETFD = 438
_LOAD_WORD, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x35, 0x06
_RANDOM = 0xFFFFF000 + 56
_WHOLE_PACKET = 0xFFFFFFFF
#: As /proc/net/tcp says it.
_LISTEN = "0A"


class Loss:
    """`share` of the packets that a socket would receive, from 0 to 1."""

    def __init__(self, share: float) -> None:
        program = [
            (_LOAD_WORD, 0, 0, _RANDOM),
            (_JUMP_IF_AT_LEAST, 0, 1, int(share * 2**32)),
            (_RETURN, 0, 0, _WHOLE_PACKET),
            (_RETURN, 0, 0, 0),
        ]
        steps = b"".join(struct.pack("HBBI", *step) for step in program)
        # The option only points at it.
        self._program = ctypes.create_string_buffer(steps, len(steps))

    @property
    def option(self) -> tuple[int, int, bytes]:
        """For `setsockopt`, while this object lives."""
        filter_program = struct.pack("HP", len(self._program) // 8, ctypes.addressof(self._program))
        return socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_program

    def transport(self) -> httpx2.HTTPTransport:
        """Of a client that loses this share of what the server sends."""
        # An answer that arrives late is older for the server than for its client, who must not find the connection closed.
        limits = httpx2.Limits(keepalive_expiry=1.0)
        return httpx2.HTTPTransport(socket_options=[self.option], limits=limits)


@contextmanager
def on_the_way_to(server: Server, loss: Loss) -> Iterator[None]:
    """Each connection that is accepted meanwhile loses this share of what clients send, for as long as it lasts."""
    none = Loss(0)
    with _listening(server) as door:
        door.setsockopt(*loss.option)
        try:
            yield
        finally:
            door.setsockopt(*none.option)


def sent_again() -> int:
    """Segments that this machine had to send once more, since its start."""
    names, values = (
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Tcp:")
    )
    return int(values[names.index("RetransSegs")])


def _listening(server: Server) -> socket.socket:
    """The server's own socket, at which its clients arrive."""
    port = int(server.url.rpartition(":")[2])
    inodes = {f"socket:[{inode}]" for inode in _listening_at(port)}
    for descriptor in Path(f"/proc/{server.pid}/fd").iterdir():
        if str(descriptor.readlink()) in inodes:
            return _taken(server.pid, int(descriptor.name))
    raise AssertionError(f"{server.pid} does not listen at {port}")


def _listening_at(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            local, state, inode = fields[1], fields[3], fields[9]
            if state == _LISTEN and int(local.rpartition(":")[2], 16) == port:
                yield inode


def _taken(pid: int, descriptor: int) -> socket.socket:
    process = os.pidfd_open(pid)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        taken = libc.syscall(_PIDFD_GETFD, process, descriptor, 0)
    finally:
        os.close(process)
    if taken < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return socket.socket(fileno=taken)
