"""
What passes between a worker and the supervisor of one command: files in the command's directory.

    command.json   what to run, written by the worker
    lock           held by the supervisor as long as it lives; holds its process id and start
    running        the process id of the first process, written when there is one
    cgroup         the path of its control group, where its runtime chose one
    kill           why the command must end, written by a worker; `wake` is a FIFO that makes the supervisor look
    network        what its connections came to, written by its proxy (see `headrace.egress.ledger`)
    exit.json      how it ended; written aside and renamed, the last thing a supervisor does

Standard library only: the supervisor uses it.
"""

import errno
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headrace.executor._keeper import OwnLimits
from headrace.executor._mounts import RootPlan
from headrace.executor._runtime import Runtime
from headrace.loglines import Origin

LEDGER = "network"


#: Whoever finds the disk full waits so long for room.
FULL_SECONDS = 10.0
#: An end is smaller.
_ROOM = 4096


@dataclass(frozen=True, kw_only=True)
class ContainerPlan:
    """A command in a container."""

    runtime: Runtime
    #: Its configuration, as runtimes read it.
    config: str
    cgroup: str
    root: RootPlan
    #: What the supervisor must see to, because the runtime has no right to; None when the runtime has.
    own: OwnLimits | None = None


@dataclass(frozen=True, kw_only=True)
class ProcessPlan:
    """A command with the rights of the service."""

    argv: list[str]
    env: dict[str, str]
    directory: str
    #: Made when this user may.
    cgroup: str
    memory_bytes: int
    pids: int
    #: What one file may grow to.
    file_bytes: int


@dataclass(frozen=True, kw_only=True)
class DaemonPlan:
    """A command in a container of Docker or Podman."""

    socket: str
    api: str
    container: str
    #: What the daemon is asked for. Nothing of the command is in it: the daemon keeps and shows what it is told.
    config: dict[str, Any]
    #: What the container's first process is told to run, one line of shell.
    line: str
    #: Its ids are completed when the container's are known.
    root: RootPlan
    #: The build user's id in the container.
    user: int
    #: Files that are read-only in the container, by their place there.
    files: dict[str, str]
    #: Places of the container where nothing is to be found.
    masked: list[str]
    #: Size of /dev/shm, and how many files may be in it.
    shared_bytes: int
    shared_files: int


@dataclass(frozen=True, kw_only=True)
class EgressPlan:
    phase: str
    hosts: list[str]
    #: What one command may move, send, and connect. See `Egress`.
    bytes: int
    upload_bytes: int
    connections: int
    #: The command's directory.
    directory: str
    #: A registry of its own, with the fields of `FrontPlan`.
    front: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Instructions:
    origin: Origin
    log: str
    seconds: float
    #: When to warn of the end; None for never.
    soft_seconds: float | None
    log_bytes: int
    disk_bytes: int
    disk_files: int
    #: What counts against them.
    watched: list[str]
    #: Values that must not stand in the log.
    secrets: list[str]
    container: ContainerPlan | None = None
    process: ProcessPlan | None = None
    daemon: DaemonPlan | None = None
    egress: EgressPlan | None = None


def write_instructions(directory: Path, instructions: Instructions) -> None:
    (directory / "command.json").write_text(json.dumps(asdict(instructions)))


def read_instructions(directory: Path) -> Instructions:
    given: dict[str, Any] = json.loads((directory / "command.json").read_bytes())
    given["origin"] = Origin(*given["origin"])
    if container := given["container"]:
        container["runtime"] = Runtime(*container["runtime"])
        container["root"] = _root_plan(container["root"])
        if own := container["own"]:
            container["own"] = OwnLimits(*own)
        given["container"] = ContainerPlan(**container)
    if process := given["process"]:
        given["process"] = ProcessPlan(**process)
    if daemon := given["daemon"]:
        given["daemon"] = DaemonPlan(**{**daemon, "root": _root_plan(daemon["root"])})
    if egress := given["egress"]:
        given["egress"] = EgressPlan(**egress)
    return Instructions(**given)


def _root_plan(given: dict[str, Any]) -> RootPlan:
    owner = given["owner"]
    return RootPlan(**{**given, "owner": owner and tuple(owner)})


def tell_group(directory: Path, path: str) -> None:
    """For those who must find the command's processes when its supervisor is gone."""
    write_aside(directory / "cgroup", path.encode())


def group_of(directory: Path) -> str | None:
    """The control group that the command's runtime chose; None where we did."""
    try:
        return (directory / "cgroup").read_text()
    except FileNotFoundError:
        return None


def tell_running(directory: Path, pid: int) -> None:
    """Not flushed: it is of no use to anybody after a power cut."""
    descriptor = os.open(directory / "running", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.write(descriptor, b"%d\n" % pid)
    os.close(descriptor)


def first_process(directory: Path) -> int | None:
    """The process id of the command's first process; None while it has none."""
    try:
        said = (directory / "running").read_bytes()
    except FileNotFoundError:
        return None
    return int(said) if said.endswith(b"\n") else None


def write_aside(path: Path, data: bytes) -> None:
    """Write and rename, so that a reader sees all or nothing, also after the power was cut."""
    aside = _aside(path)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    aside.rename(path)


def write_once_there_is_room(path: Path, data: bytes) -> None:
    """`write_aside` on a disk that may be full for a while. Raises OSError when it stays so."""
    end = time.monotonic() + FULL_SECONDS
    while True:
        try:
            write_aside(path, data)
        except OSError as exc:
            if exc.errno not in (errno.ENOSPC, errno.EDQUOT) or time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def take_room(path: Path) -> int | None:
    """A descriptor of a file beside `path` whose space is taken already; None when there is none any more."""
    with suppress(OSError):
        descriptor = os.open(_aside(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _ROOM)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor
    return None


def write_into_room(descriptor: int, path: Path, data: bytes) -> None:
    """`write_aside` on a disk that is full by now."""
    os.pwrite(descriptor, data, 0)
    os.ftruncate(descriptor, len(data))
    os.fsync(descriptor)
    os.close(descriptor)
    _aside(path).rename(path)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def ask_to_kill(directory: Path, reason: str) -> None:
    """The first reason stays. Nothing happens when the command has ended."""
    # Not there: somebody else has closed the sandbox meanwhile.
    with suppress(FileExistsError, FileNotFoundError):
        descriptor = os.open(directory / "kill", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.write(descriptor, reason.encode())
        os.close(descriptor)
    # Nobody reads: it has ended, or hasn't begun and looks at the file then.
    with suppress(OSError):
        descriptor = os.open(directory / "wake", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.write(descriptor, b"!")
        os.close(descriptor)


def asked_to_kill(directory: Path) -> str | None:
    try:
        return (directory / "kill").read_text() or None
    except FileNotFoundError:
        return None
