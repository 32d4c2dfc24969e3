"""
Reaching into a sandbox while its command runs: the directory and the network as its processes have them.

By descriptors, opened once. They name the first process itself and not its number, which may be another's by then.
"""

import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from headrace import linux
from headrace.executor._instructions import first_process, group_of
from headrace.executor._writing import write_files
from headrace.model.sandbox import WORKING_DIRECTORY, SandboxFile

#: Below those that the kernel gives to connections, and far from a sandbox's proxy.
_PORTS = range(20_000, 30_000)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Ended(Exception):
    """The command's first process is not there any more."""


class Reach:
    """Opened by `reach_container` or `reach_process`. `user` is the build user's id on this machine, if it isn't ours."""

    def __init__(self, directory: int, network: int | None, user: int | None) -> None:
        self._directory = directory
        self._network = network
        self._user = user

    def open_directory(self) -> int:
        return os.dup(self._directory)

    def socket(self) -> socket.socket:
        if self._network is None:
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        else:
            made = linux.socket_in_network(self._network)
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def writer(self) -> "Writer":
        """To be used in another thread, where this may be closed meanwhile."""
        return Writer(os.dup(self._directory), self._user)

    def close(self) -> None:
        """They must not outlive the command: they keep its mounts and its network."""
        for descriptor in (self._directory, self._network):
            if descriptor is not None:
                os.close(descriptor)
        self._directory, self._network = -1, None


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


def reach_container(place: Path) -> Reach:
    """Into the container of the command in `place`. Raises Ended, and OSError when this process may not."""
    with _process(place) as process:
        user = int(_read(process, "status").partition("\nUid:")[2].split()[0])
        directory = os.open(f"root{WORKING_DIRECTORY}", _DIRECTORY | os.O_NOFOLLOW, dir_fd=process)
        try:
            network = os.open("ns/net", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
        except BaseException:
            os.close(directory)
            raise
    return Reach(directory, network, user)


def reach_process(place: Path, directory: Path) -> Reach:
    """To a command that runs where we do."""
    with _process(place):
        return Reach(os.open(directory, _DIRECTORY), None, None)


@contextmanager
def _process(place: Path) -> Iterator[int]:
    """The first process, as a directory of /proc: names below it are its own or nothing, whoever gets its number."""
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


def open_unstarted(upper: Path, work: Path, below: Sequence[Path], *, plain: bool) -> Writer:
    """
    The working directory as the next command will find it, while none runs: its overlay, mounted nowhere. `plain`: commands
    see `upper` itself.
    """
    if plain:
        return Writer(os.open(upper, _DIRECTORY), None)
    # Left by the overlay of an earlier command; what was `volatile` is refused.
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    # An overlay needs something below; a sandbox without layers has an empty directory for it.
    lowest = below or [upper.with_name("empty")]
    descriptors = [os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in (upper, work, *lowest)]
    try:
        top, aside, *lower = (f"/proc/self/fd/{descriptor}" for descriptor in descriptors)
        options = [("lowerdir", ":".join(lower)), ("upperdir", top), ("workdir", aside)]
        merged = linux.new_mount("overlay", options, linux.MOUNT_ATTR_NODEV | linux.MOUNT_ATTR_NOSUID)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    try:
        return Writer(os.open(".", _DIRECTORY, dir_fd=merged), None)
    finally:
        os.close(merged)


class Ports:
    """Numbers for a sandbox's own network, where nobody else is."""

    def __init__(self) -> None:
        self._numbers = count()

    def next(self) -> int:
        return _PORTS[next(self._numbers) % len(_PORTS)]


def really_free_port() -> int:
    """Of this machine; free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
