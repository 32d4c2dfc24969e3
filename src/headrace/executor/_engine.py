"""
The two ways a supervisor starts a command: in a container, or as a process with the service's rights.

Standard library only: the supervisor uses it.
"""

import json
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from headrace.executor._cgroup import Cgroup, Usage
from headrace.executor._instructions import ContainerPlan, ProcessPlan
from headrace.executor._mounts import make_root
from headrace.executor._runtime import ContainerFailed, container_pid, run_argv, spawn

#: A runtime that takes longer is broken.
_START_SECONDS = 60


class Leader(NamedTuple):
    """The process whose end is the command's end."""

    pid: int
    #: Becomes readable when the process ends.
    descriptor: int
    #: Carries the exit code of a command in a container, one line. None when the leader is the command itself.
    control: socket.socket | None


class Engine(Protocol):
    def start(self, stdout: int, stderr: int) -> Leader:
        """Raises ContainerFailed."""
        ...

    def others(self) -> int:
        """How many processes run beside the leader."""
        ...

    def kill(self, leader: Leader) -> None:
        """End everything. Returns when nothing is left, or after 2 s."""
        ...

    def usage(self) -> Usage: ...

    def out_of_memory(self) -> bool: ...

    def clean(self) -> None: ...


class ContainerEngine:
    """Mounts are private to this process already (`private_mounts`)."""

    def __init__(self, plan: ContainerPlan) -> None:
        self._plan = plan
        self._cgroup = Cgroup(plan.cgroup)

    def start(self, stdout: int, stderr: int) -> Leader:
        plan = self._plan
        try:
            make_root(plan.root)
        except OSError as exc:
            raise ContainerFailed(f"the root file system could not be put together: {exc}") from exc
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        argv = run_argv(plan.runtime, plan.state, plan.bundle, plan.container)
        pid = spawn(argv, stdout, stderr, theirs.fileno())
        theirs.close()
        if code := _wait_for(pid, _START_SECONDS):
            raise ContainerFailed(_runtime_message(plan) or f"{plan.runtime.kind} ended with {code}")
        init = container_pid(plan.bundle)
        return Leader(init, os.pidfd_open(init), ours)

    def others(self) -> int:
        # The first process does not count, and what ends right now may.
        return max(0, len(self._cgroup.processes()) - 1)

    def kill(self, leader: Leader) -> None:
        # The end of the first process of a PID namespace is the end of all: the kernel sees to it.
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(leader.descriptor, signal.SIGKILL)
        self._cgroup.kill()

    def usage(self) -> Usage:
        return self._cgroup.usage()

    def out_of_memory(self) -> bool:
        return self._cgroup.out_of_memory()

    def clean(self) -> None:
        self._cgroup.kill()
        self._cgroup.remove()


class ProcessEngine:
    """No isolation. Orphans come to this process, which has adopted them, so that all of them can be found."""

    def __init__(self, plan: ProcessPlan) -> None:
        self._plan = plan
        self._spared: set[int] = set()

    def spare(self, pid: int) -> None:
        """Keep a child of this process that belongs to it, not to the command."""
        self._spared.add(pid)

    def start(self, stdout: int, stderr: int) -> Leader:
        plan = self._plan
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                nothing = os.open("/dev/null", os.O_RDONLY)
                for number, descriptor in enumerate((nothing, stdout, stderr)):
                    os.dup2(descriptor, number)
                os.chdir(plan.directory)
                os.execvpe(plan.argv[0], plan.argv, plan.env)
            except OSError as exc:
                os.write(2, f"{plan.argv[0]}: {exc.strerror}\n".encode())
                os._exit(126 if isinstance(exc, PermissionError) else 127)
            finally:
                os._exit(127)
        return Leader(pid, os.pidfd_open(pid), None)

    def others(self) -> int:
        return len(self._descendants())

    def kill(self, leader: Leader) -> None:
        import time

        end = time.monotonic() + 2
        while (pids := self._descendants()) and time.monotonic() < end:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _reap(leader.pid)
            time.sleep(0.005)

    def usage(self) -> Usage:
        import resource

        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Usage(peak_memory_bytes=used.ru_maxrss * 1024, cpu_seconds=used.ru_utime + used.ru_stime)

    def out_of_memory(self) -> bool:
        return False

    def clean(self) -> None:
        pass

    def _descendants(self) -> Sequence[int]:
        """Living processes below this one, without those that are only waited for."""
        children: dict[int, list[int]] = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                with suppress(OSError):
                    state, parent = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()[:2]
                    if state != "Z":
                        children.setdefault(int(parent), []).append(int(name))
        found: list[int] = []
        waiting = [os.getpid()]
        while waiting:
            below = [pid for pid in children.get(waiting.pop(), []) if pid not in self._spared]
            found += below
            waiting += below
        return found


def _reap(keep: int) -> None:
    """Wait for adopted processes that have ended, but leave `keep` to the one who needs its status."""
    while True:
        try:
            info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if info is None or info.si_pid == keep:
            return
        os.waitpid(info.si_pid, 0)


def _wait_for(pid: int, seconds: float) -> int:
    """The exit code of a child; it is killed when it takes too long."""
    import select

    descriptor = os.pidfd_open(pid)
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    if not poller.poll(seconds * 1000):
        os.kill(pid, signal.SIGKILL)
    os.close(descriptor)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _runtime_message(plan: ContainerPlan) -> str:
    with suppress(OSError, ValueError, KeyError):
        lines = Path(plan.bundle, "runtime.log").read_text().splitlines()
        return f"{plan.runtime.kind}: {json.loads(lines[-1])['msg']}"
    return ""
