"""What is planted on this machine for the probe not to find, and what is looked at from outside of sandboxes."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple


class Outside(NamedTuple):
    """What is planted on the machine."""

    abstract: str
    port: int
    addresses: list[str]


@contextmanager
def planted(mark: str) -> Iterator[Outside]:
    """An abstract socket, and a port on every address of this machine."""
    with ExitStack() as stack:
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0{mark}-outside")
        abstract.listen()
        listener = stack.enter_context(socket.create_server(("0.0.0.0", 0)))  # noqa: S104 - for moments; nobody answers
        yield Outside(f"{mark}-outside", listener.getsockname()[1], _own_addresses())


def _own_addresses() -> list[str]:
    """Addresses under which this machine is reached from elsewhere."""
    found = []
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as any_socket:
            any_socket.connect((far, 9))
            found.append(any_socket.getsockname()[0])
    return found


def answers_of(mark: str, port: int, addresses: Sequence[str]) -> list[str]:
    """At which of our addresses somebody who says `mark` listens on `port`: others may listen there, too."""
    found = []
    for address in ("127.0.0.1", *addresses):
        with suppress(OSError), socket.create_connection((address, port), timeout=2) as connection:
            if connection.recv(100) == mark.encode():
                found.append(address)
    return found


def marked(mark: str) -> list[int]:
    """Processes of this machine with the mark in their environment."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"MARK={mark}".encode() in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
    return found
