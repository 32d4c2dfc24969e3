"""
The ways into a sandbox: with the rights of root, as an ordinary user with the spawner's help, and where commands run as the
service does, there is nothing to enter.
"""

import os
import socket
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Protocol

from headrace.executor._follow import Spawner
from headrace.executor._overlay import Writable, make_anew, merged_directory
from headrace.executor._reach import Reach, Shared, Visited, Writer, first_process_of, open_container, user_of
from headrace.executor._written import open_layers

#: Below those that the kernel gives to connections, and far from a sandbox's proxy.
_PORTS = range(20_000, 30_000)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Entry(Protocol):
    def reach(self, place: Path) -> Reach:
        """To the running command in `place`. Raises Ended, and OSError when this process may not."""
        ...

    def open_unstarted(self, upper: Path, work: Path, below: Sequence[Path]) -> Writer:
        """The working directory as the next command will find it, while none runs: its overlay, mounted nowhere."""
        ...

    def open_layers(self, layers: Sequence[Path]) -> int:
        """A directory descriptor that shows them over each other, the topmost first."""
        ...

    def free_port(self) -> int: ...


class NoEntry:
    """Implements `Entry` for commands that run as the service does. They see `upper` itself."""

    def __init__(self, upper: Path) -> None:
        self._upper = upper

    def reach(self, place: Path) -> Reach:
        with first_process_of(place):
            return Reach(os.open(self._upper, _DIRECTORY), Shared(), None)

    def open_unstarted(self, upper: Path, work: Path, below: Sequence[Path]) -> Writer:  # noqa: ARG002
        return Writer(os.open(upper, _DIRECTORY), None)

    def open_layers(self, layers: Sequence[Path]) -> int:
        return open_layers(layers)

    def free_port(self) -> int:
        return really_free_port()


class RootEntry:
    """Implements `Entry`."""

    def __init__(self) -> None:
        self._ports = count()

    def reach(self, place: Path) -> Reach:
        with first_process_of(place) as process:
            directory, network = open_container(process)
            return Reach(directory, Visited(network), user_of(process))

    def open_unstarted(self, upper: Path, work: Path, below: Sequence[Path]) -> Writer:
        return Writer(merged_directory(_lowest(upper, below), _writable(upper, work)), None)

    def open_layers(self, layers: Sequence[Path]) -> int:
        return open_layers(layers)

    def free_port(self) -> int:
        """Nobody else is in that network."""
        return _PORTS[next(self._ports) % len(_PORTS)]


class UserEntry(RootEntry):
    """
    Implements `Entry`. The build user is the service's own, and so are all files; the kernel lets the maker of a user namespace
    look into what is in it. Only going there needs help.
    """

    def __init__(self, spawner: Spawner) -> None:
        super().__init__()
        self._spawner = spawner

    def reach(self, place: Path) -> Reach:
        with first_process_of(place) as process:
            directory, network = open_container(process)
            return Reach(directory, _Door(self._spawner, network), None)

    def open_unstarted(self, upper: Path, work: Path, below: Sequence[Path]) -> Writer:
        return Writer(self._merge(_lowest(upper, below), _writable(upper, work)), None)

    def open_layers(self, layers: Sequence[Path]) -> int:
        return open_layers(layers, self._merge)

    def _merge(self, lower: Sequence[str], writable: Writable | None = None) -> int:
        made = self._spawner.ask({"overlay": {"lower": list(lower), "writable": writable}})
        assert made is not None  # noqa: S101 - what is asked for is answered with a descriptor
        return made


class _Door:
    """Implements `Network`: somebody who is there hands sockets out. `namespace` is used up."""

    def __init__(self, spawner: Spawner, namespace: int) -> None:
        self._spawner = spawner
        self._namespace = namespace
        self._channel: socket.socket | None = None

    def socket(self) -> socket.socket:
        if self._channel is None:
            self._channel = socket.socket(fileno=self._spawner.ask({"door": True}, self._namespace))
        self._channel.send(b"?")
        answer, made, _, _ = socket.recv_fds(self._channel, 1, 1, socket.MSG_CMSG_CLOEXEC)
        if not answer:
            raise ConnectionError("nobody opens the sandbox's network")
        return socket.socket(fileno=made[0])

    def close(self) -> None:
        os.close(self._namespace)
        if self._channel is not None:
            self._channel.close()


def _lowest(upper: Path, below: Sequence[Path]) -> list[str]:
    """An overlay needs something below; a sandbox without layers has an empty directory for it."""
    return [str(path) for path in below or [upper.with_name("empty")]]


def _writable(upper: Path, work: Path) -> Writable:
    make_anew(work)
    return Writable(str(upper), str(work))


def really_free_port() -> int:
    """Of this machine; free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
