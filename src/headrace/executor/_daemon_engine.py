"""
How a supervisor starts a command in a container of Docker or Podman, and ends it.

The daemon is asked for a container that waits, and for its removal. In between it is not needed: the command and what it
prints go through FIFOs, its end is seen by its process, its limits by its control group. A daemon that dies loses nothing.
Standard library only: the supervisor uses it.
"""

import errno
import fcntl
import os
import select
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from headrace import linux
from headrace.executor._cgroup import Cgroup, Usage
from headrace.executor._daemon_api import DaemonApi, DaemonError
from headrace.executor._engine import Leader, Pipe, stop_all
from headrace.executor._furnish import furnish
from headrace.executor._instructions import Instructions, tell_group
from headrace.executor._keeper import LOOK_SECONDS
from headrace.executor._mounts import make_root
from headrace.executor._proxy import listen_in, start_proxy
from headrace.executor._runtime import ContainerFailed, await_end

#: The container sees the directory with the FIFOs here until its command begins.
IO = "/run/headrace"

_START_SECONDS = 60.0
_KILL_SECONDS = 2.0
#: For the end of those beside the first process, while what they used can still be read.
_OTHERS_SECONDS = 0.5
_PIPE_BYTES = 1024 * 1024


class DaemonEngine:
    """Mounts are private to this process already (`private_mounts`)."""

    def __init__(self, given: Instructions, place: Path, namespace: linux.NewUserNamespace) -> None:
        assert given.daemon  # noqa: S101
        self._given = given
        self._plan = given.daemon
        self._place = place
        self._namespace = namespace
        self._daemon = DaemonApi(self._plan.socket, self._plan.api)
        self._cgroup: Cgroup | None = None
        self._used = Usage()

    def pipes(self) -> tuple[Pipe, Pipe]:
        self._fifos = _Fifos(self._place / "io")
        return self._fifos.output("stdout"), self._fifos.output("stderr")

    def start(self, stdout: int, stderr: int) -> Leader:  # noqa: ARG002 - the container opens the FIFOs by their names
        try:
            return self._start()
        except DaemonError as exc:
            raise ContainerFailed(f"the container engine: {exc}", lost=exc.status is None) from exc
        except OSError as exc:
            raise ContainerFailed(f"the container could not be made a sandbox: {exc}") from exc

    def _start(self) -> Leader:
        plan, fifos = self._plan, self._fifos
        # Left by a supervisor that was killed before it could write down that it had made one.
        self._daemon.remove(plan.container)
        container = self._daemon.create(plan.container, plan.config)
        self._daemon.start(container)
        state = self._daemon.state(container) or {}
        leader = Leader(pid := int(state.get("Pid", 0)), _pidfd(pid), fifos.control)
        process = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._cgroup = Cgroup(group := _group_in(process, container))
            tell_group(self._place, group)
            fifos.await_ready(leader.descriptor)
            self._furnish(process)
        finally:
            os.close(process)
        fifos.remove()
        fifos.tell(plan.line)
        return leader

    def _furnish(self, process: int) -> None:
        root = _outside(process, 0)
        plan = replace(self._plan.root, root_user=root, build_user=_outside(process, self._plan.user))
        make_root(plan, self._namespace)
        # A command may run for days: nothing stays beside it that was only needed to start it.
        self._namespace.close()
        shared = f"mode=1777,size={self._plan.shared_bytes},nr_inodes={self._plan.shared_files},uid={root},gid={root}"
        furnish(process, files=self._plan.files, masked=self._plan.masked, shared=shared)
        if self._given.egress:
            network = os.open("ns/net", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
            start_proxy(listen_in(network), self._given)
            os.close(network)

    def processes(self) -> Iterable[str]:
        return [f"/proc/{pid}" for pid in self._pids()]

    def others(self) -> int:
        # The first process does not count, and what ends right now may.
        return max(0, len(self._pids()) - 1)

    def kill(self, leader: Leader) -> None:
        # The engine removes the control group when the first process has ended: what it knows is asked before.
        self._kill_others(leader.pid)
        self._look()
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(leader.descriptor, signal.SIGKILL)
        await_end(leader.descriptor, _KILL_SECONDS)
        if self._cgroup:
            self._cgroup.kill()

    def usage(self) -> Usage:
        return self._used

    def out_of_memory(self) -> bool:
        self._look()
        return self._used.out_of_memory

    def refused(self) -> int:
        return self._cgroup.refused() if self._cgroup else 0

    def wait(self) -> float:
        return LOOK_SECONDS

    def clean(self) -> None:
        if self._cgroup:
            self._cgroup.kill()
        self._fifos.remove()
        with suppress(DaemonError):  # whoever closes the sandbox removes it
            if not self._used.out_of_memory and (self._daemon.state(self._plan.container) or {}).get("OOMKilled"):
                self._used = self._used._replace(out_of_memory=True)
            self._daemon.remove(self._plan.container)

    def _pids(self) -> set[int]:
        return self._cgroup.processes() if self._cgroup else set()

    def _kill_others(self, first: int) -> None:
        stop_all(lambda: self._pids() - {first})
        end = time.monotonic() + _OTHERS_SECONDS
        while (pids := self._pids() - {first}) and time.monotonic() < end:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)

    def _look(self) -> None:
        if self._cgroup is None:
            return
        now = self._cgroup.usage()
        if now.cpu_seconds is not None or now.peak_memory_bytes is not None:
            self._used = now


class _Fifos:
    """What passes between a supervisor and a container's first process. Nobody finds them once both have opened them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o755, exist_ok=True)
        self._made: list[Path] = []
        #: Both are also held open at their other end, so that the first process never waits to open one.
        self.control = os.open(self._make("control", 0o622), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._go = os.open(self._make("go", 0o644), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        _enlarge(self._go)

    def output(self, name: str) -> Pipe:
        # Programs open /dev/stdout, so the build user may.
        path = self._make(name, 0o622)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        writer = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        _enlarge(writer)
        return reader, writer

    def await_ready(self, process: int) -> None:
        """Until the first process has opened them all. Raises ContainerFailed when it ends before."""
        poller = select.poll()
        for descriptor in (self.control, process):
            poller.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poller.poll(_START_SECONDS * 1000)}
        if self.control in ready and os.read(self.control, 64) == b"ready\n":
            return
        raise ContainerFailed("the container's first process ended at once, or said nothing")

    def tell(self, line: str) -> None:
        """Raises ContainerFailed when it is too long."""
        data = line.encode("utf-8", "surrogateescape") + b"\n"
        if os.write(self._go, data) != len(data):
            raise ContainerFailed(f"the command and its variables are longer than {_PIPE_BYTES} bytes")

    def remove(self) -> None:
        for path in self._made:
            path.unlink(missing_ok=True)

    def _make(self, name: str, mode: int) -> Path:
        path = self._directory / name
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        path.chmod(mode)
        self._made.append(path)
        return path


def _enlarge(pipe: int) -> None:
    with suppress(OSError):  # more than this user may hold in pipes
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except (OSError, ValueError) as exc:
        raise ContainerFailed(_ELSEWHERE) from exc


_ELSEWHERE = (
    "the container engine runs somewhere else: its processes can't be seen from here. "
    "It must be on the same machine, and Headrace must not be in a container"
)


def _group_in(process: int, container: str) -> str:
    """The control group of the container's first process: the engine chose it, and the container's id is in it."""
    with open("cgroup", opener=lambda name, flags: os.open(name, flags, dir_fd=process)) as said:
        groups = [line.rstrip("\n").split(":", 2)[1:] for line in said]
    groups.sort(key=lambda group: "memory" not in group[0])
    if path := next((path for _, path in groups if container in path), None):
        return path
    if groups:
        raise ContainerFailed(_ELSEWHERE)
    raise OSError(errno.ESRCH, "the container's first process has ended")


def _outside(process: int, inside: int) -> int:
    """The id on this machine of an id in the container."""
    with open("uid_map", opener=lambda name, flags: os.open(name, flags, dir_fd=process)) as said:
        for line in said:
            first, outside, length = map(int, line.split())
            if first <= inside < first + length:
                return outside + inside - first
    raise ContainerFailed(f"the container has no user {inside}")
