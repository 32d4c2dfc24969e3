"""
Reaching into a sandbox while its command runs: the directory and the network as its processes have them.

By descriptors, opened once. They name the first process itself and not its number, which may be another's by then.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from headrace import linux
from headrace.executor._instructions import first_process, group_of
from headrace.executor._writing import write_files
from headrace.model.sandbox import WORKING_DIRECTORY, SandboxFile

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Ended(Exception):
    """The command's first process is not there any more."""


class Network(Protocol):
    """The network of a sandbox, for whoever is not in it."""

    def socket(self) -> socket.socket:
        """A new TCP socket there."""
        ...

    def close(self) -> None: ...


class Visited:
    """Implements `Network` by the rights of root. `namespace` is used up."""

    def __init__(self, namespace: int) -> None:
        self._namespace = namespace

    def socket(self) -> socket.socket:
        return linux.socket_in_network(self._namespace)

    def close(self) -> None:
        os.close(self._namespace)


class Shared:
    """Implements `Network` where the command has ours."""

    def socket(self) -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def close(self) -> None:
        pass


class Reach:
    """
    `user` is the build user's id on this machine, if it isn't ours. What is given here is closed with this.
    """

    def __init__(self, directory: int, network: Network, user: int | None) -> None:
        self._directory = directory
        self._network = network
        self._user = user

    def open_directory(self) -> int:
        return os.dup(self._directory)

    def socket(self) -> socket.socket:
        made = self._network.socket()
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def writer(self) -> "Writer":
        """To be used in another thread, where this may be closed meanwhile."""
        return Writer(os.dup(self._directory), self._user)

    def close(self) -> None:
        """They must not outlive the command: they keep its mounts and its network."""
        os.close(self._directory)
        self._network.close()


class Writer:
    """Used once."""

    def __init__(self, directory: int, user: int | None) -> None:
        self._directory = directory
        self._user = user

    def write(self, files: Sequence[SandboxFile], removed: Sequence[str]) -> None:
        """See `write_files`."""
        try:
            if self._user is None:
                write_files(self._directory, files, removed)
                return
            with linux.file_rights_of(self._user, self._user):
                write_files(self._directory, files, removed)
        finally:
            os.close(self._directory)


def open_container(process: int) -> tuple[int, int]:
    """The working directory and the network namespace of the first process of a container. Raises OSError when it may not be."""
    directory = os.open(f"root{WORKING_DIRECTORY}", _DIRECTORY | os.O_NOFOLLOW, dir_fd=process)
    try:
        return directory, os.open("ns/net", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
    except BaseException:
        os.close(directory)
        raise


def user_of(process: int) -> int:
    """The user that it runs as, as this machine calls it."""
    return int(_read(process, "status").partition("\nUid:")[2].split()[0])


@contextmanager
def first_process_of(place: Path) -> Iterator[int]:
    """
    The first process of the command in `place`, as a directory of /proc: names below it are its own or nothing, whoever gets its
    number. Raises Ended.
    """
    try:
        first = first_process(place)
        supervisor = int((place / "lock").read_text().split()[0])
        process = os.open(f"/proc/{first}", _DIRECTORY)
        try:
            # Only a supervisor's own child is what it says it started, or who is in the group that it was told of.
            group = group_of(place)
            parent = int(_read(process, "stat").rpartition(")")[2].split()[1])
            if parent != supervisor and (group is None or f":{group}\n" not in _read(process, "cgroup")):
                raise Ended
            yield process
        finally:
            os.close(process)
    except (FileNotFoundError, ProcessLookupError) as exc:
        raise Ended from exc


def _read(process: int, name: str) -> str:
    with open(name, errors="replace", opener=lambda name, flags: os.open(name, flags, dir_fd=process)) as file:
        return file.read()
