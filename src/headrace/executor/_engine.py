"""
The two ways a supervisor starts a command: in a container, or as a process with the service's rights.

Standard library only: the supervisor uses it.
"""

import os
import resource
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol

from headrace import linux
from headrace.executor._cgroup import Cgroup, GroupLimits, Usage
from headrace.executor._instructions import ContainerPlan, ProcessPlan
from headrace.executor._keeper import LOOK_SECONDS, keeper_of
from headrace.executor._launch import Launch
from headrace.executor._mounts import make_root
from headrace.executor._output import output_pipe
from headrace.executor._runtime import ContainerFailed, await_end

_KILL_SECONDS = 2.0
_STOP_SECONDS = 0.2


class Leader(NamedTuple):
    """The process whose end is the command's end."""

    pid: int
    #: Becomes readable when the process ends.
    descriptor: int
    #: Carries the exit code of a command in a container, one line. None when the leader is the command itself.
    control: int | None


#: The end to read and the end to write.
Pipe = tuple[int, int]


class Engine(Protocol):
    def pipes(self) -> tuple[Pipe, Pipe]:
        """What the command's stdout and stderr will go through."""
        ...

    def start(self, stdout: int, stderr: int) -> Leader:
        """Raises ContainerFailed."""
        ...

    def processes(self) -> Iterable[str]:
        """Everything that runs, as directories of /proc."""
        ...

    def others(self) -> int:
        """How many processes run beside the leader."""
        ...

    def kill(self, leader: Leader) -> None:
        """End everything. Returns when nothing is left, or after 2 s."""
        ...

    def usage(self) -> Usage: ...

    def out_of_memory(self) -> bool: ...

    def refused(self) -> int:
        """How many processes and threads it was refused, because it has as many as it may. 0 where nobody counts."""
        ...

    def wait(self) -> float:
        """Seconds until that should be asked again."""
        ...

    def clean(self) -> None: ...


class ContainerEngine:
    """
    Mounts are private to this process already (`private_mounts`). `namespace` is for the ids of the root's mounts, where they
    need some.
    """

    def __init__(self, plan: ContainerPlan, namespace: linux.NewUserNamespace | None, launch: Launch) -> None:
        self._plan = plan
        self._namespace = namespace
        self._launch = launch
        self._keeper = keeper_of(plan.cgroup, plan.own)

    def pipes(self) -> tuple[Pipe, Pipe]:
        return self._launch.stdout, self._launch.stderr

    def start(self, stdout: int, stderr: int) -> Leader:  # noqa: ARG002 - the launch has them
        try:
            make_root(self._plan.root, self._namespace)
        except OSError as exc:
            raise ContainerFailed(f"the root file system could not be put together: {exc}") from exc
        self._keeper.make()
        init = self._launch.run(Path(self._plan.config), self._keeper.enter)
        # A command may run for days: nothing stays beside it that was only needed to start it.
        if self._namespace:
            self._namespace.close()
        _reap(init)
        leader = Leader(init, os.pidfd_open(init), self._launch.control)
        self._keeper.begin(init)
        return leader

    def processes(self) -> Iterable[str]:
        return self._keeper.processes()

    def others(self) -> int:
        # The first process does not count, and what ends right now may.
        return max(0, self._keeper.count() - 1)

    def kill(self, leader: Leader) -> None:
        self._keeper.look()
        # The end of the first process of a PID namespace is the end of all: the kernel kills the others and waits for them.
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(leader.descriptor, signal.SIGKILL)
        await_end(leader.descriptor, _KILL_SECONDS)
        self._keeper.kill()

    def usage(self) -> Usage:
        return self._keeper.usage()

    def out_of_memory(self) -> bool:
        return self._keeper.out_of_memory()

    def refused(self) -> int:
        return self._keeper.refused()

    def wait(self) -> float:
        return self._keeper.wait()

    def clean(self) -> None:
        self._keeper.kill()
        self._keeper.remove()


class ProcessEngine:
    """
    No isolation. What the command starts is found by its control group, and where there is none, by descent: orphans
    become children of this process, which has adopted them.
    """

    def __init__(self, plan: ProcessPlan) -> None:
        self._plan = plan
        self._cgroup = Cgroup(plan.cgroup)

    def pipes(self) -> tuple[Pipe, Pipe]:
        return output_pipe(), output_pipe()

    def start(self, stdout: int, stderr: int) -> Leader:
        self._cgroup.make(GroupLimits(self._plan.memory_bytes, self._plan.pids))
        pid = os.fork()
        if pid == 0:
            self._become_command(stdout, stderr)
        return Leader(pid, os.pidfd_open(pid), None)

    def processes(self) -> Iterable[str]:
        return [f"/proc/{pid}" for pid in self._all()]

    def others(self) -> int:
        return len(self._all())

    def kill(self, leader: Leader) -> None:
        stop_all(self._all)
        end = time.monotonic() + _KILL_SECONDS
        while (pids := self._all()) and time.monotonic() < end:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _reap(leader.pid)
            time.sleep(0.005)

    def usage(self) -> Usage:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        seen = self._cgroup.usage()
        if seen.peak_memory_bytes is None:
            seen = seen._replace(peak_memory_bytes=used.ru_maxrss * 1024)
        return seen if seen.cpu_seconds is not None else seen._replace(cpu_seconds=used.ru_utime + used.ru_stime)

    def out_of_memory(self) -> bool:
        return self._cgroup.out_of_memory()

    def refused(self) -> int:
        return self._cgroup.refused()

    def wait(self) -> float:
        return LOOK_SECONDS

    def clean(self) -> None:
        self._cgroup.kill()
        self._cgroup.remove()

    def _become_command(self, stdout: int, stderr: int) -> NoReturn:
        plan = self._plan
        try:
            os.setsid()
            linux.die_with_parent(signal.SIGKILL)
            self._cgroup.join()
            # Builds die first when the machine runs out of memory.
            Path("/proc/self/oom_score_adj").write_text("500")
            for ours in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM):
                signal.signal(ours, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (plan.file_bytes, plan.file_bytes))
            nothing = os.open("/dev/null", os.O_RDONLY)
            for number, descriptor in enumerate((nothing, stdout, stderr)):
                os.dup2(descriptor, number)
            os.chdir(plan.directory)
            os.execvpe(plan.argv[0], plan.argv, plan.env)
        except FileNotFoundError as exc:
            os.write(2, f"{plan.argv[0]}: {exc.strerror}\n".encode())
            os._exit(127)
        except OSError as exc:
            os.write(2, f"{plan.argv[0]}: {exc.strerror}\n".encode())
            os._exit(126)
        finally:
            os._exit(127)

    def _all(self) -> set[int]:
        """What is alive of the command: in its group, or below this process."""
        return self._cgroup.processes() | _descendants()


def stop_all(processes: Callable[[], set[int]]) -> None:
    """
    Before `processes` are killed one by one, so that none sees another's end: a shell whose child is killed says so, in a log
    where nobody expects it. Those that fork faster than they can be stopped go on.
    """
    end = time.monotonic() + _STOP_SECONDS
    stopped: set[int] = set()
    while (found := processes() - stopped) and time.monotonic() < end:
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        stopped |= found


def _descendants() -> set[int]:
    """Living processes below this one, without those that are only waited for."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                state, parent = Path(entry.path, "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    children.setdefault(int(parent), []).append(int(entry.name))
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
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
