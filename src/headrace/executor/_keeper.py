"""
Who sees to it that a container stays within its limits: the runtime by control groups, or, for a user who is not root, the
supervisor, by the groups that this user was given and by its own watch where there are none.

Standard library only: the supervisor uses it.
"""

import os
import resource
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from headrace.executor._cgroup import Cgroup, CgroupMount, GroupLimits, Usage
from headrace.executor._watch import Watch

LOOK_SECONDS = 0.25
_SOONEST_SECONDS = 0.02
#: Looking may cost at most this part of the time.
_SHARE = 0.2
#: Faster than this no command fills memory, or starts processes.
_BYTES_PER_SECOND = 4 * 2**30
_FORKS_PER_SECOND = 10_000


GroupPart = tuple[str, Sequence[str]]


class OwnLimits(NamedTuple):
    """What a supervisor must see to itself."""

    memory_bytes: int
    pids: int
    cpus: float
    #: The processors that the container runs on; empty for all.
    processors: Sequence[int]
    #: Parts of the trees that this user may make groups in, as `mounts_from` takes them.
    groups: Sequence[GroupPart]


def parts_of(mounts: Iterable[CgroupMount]) -> list[GroupPart]:
    """As JSON can say it."""
    return [(mount.path, sorted(mount.controllers)) for mount in mounts]


def mounts_from(parts: Iterable[GroupPart]) -> tuple[CgroupMount, ...]:
    return tuple(CgroupMount(path, frozenset(controllers)) for path, controllers in parts)


class Keeper(Protocol):
    def make(self) -> None:
        """Before the container is started."""
        ...

    def enter(self) -> None:
        """In the process that becomes the runtime."""
        ...

    def begin(self, first_process: int) -> None:
        """The container runs."""
        ...

    def processes(self) -> Iterable[str]:
        """As directories of /proc."""
        ...

    def count(self) -> int:
        """How many of them there are."""
        ...

    def kill(self) -> None:
        """What is left when the first process has ended."""
        ...

    def look(self) -> None:
        """Before the container is killed."""
        ...

    def usage(self) -> Usage: ...

    def out_of_memory(self) -> bool: ...

    def refused(self) -> int: ...

    def wait(self) -> float: ...

    def remove(self) -> None: ...


def keeper_of(cgroup: str, own: OwnLimits | None) -> Keeper:
    return RuntimesKeeper(Cgroup(cgroup)) if own is None else OwnKeeper(Cgroup(cgroup, mounts_from(own.groups)), own)


class RuntimesKeeper:
    """Implements `Keeper`. The runtime makes the group and says the limits."""

    def __init__(self, cgroup: Cgroup) -> None:
        self._cgroup = cgroup

    def make(self) -> None:
        pass

    def enter(self) -> None:
        pass

    def begin(self, first_process: int) -> None:
        pass

    def processes(self) -> Iterable[str]:
        return [f"/proc/{pid}" for pid in self._cgroup.processes()]

    def count(self) -> int:
        return len(self._cgroup.processes())

    def look(self) -> None:
        pass  # a group remembers

    def kill(self) -> None:
        self._cgroup.kill()

    def usage(self) -> Usage:
        return self._cgroup.usage()

    def out_of_memory(self) -> bool:
        return self._cgroup.out_of_memory()

    def refused(self) -> int:
        return self._cgroup.refused()

    def wait(self) -> float:
        return LOOK_SECONDS

    def remove(self) -> None:
        self._cgroup.remove()


class OwnKeeper:
    """Implements `Keeper`."""

    def __init__(self, cgroup: Cgroup, limits: OwnLimits) -> None:
        self._cgroup = cgroup
        self._limits = limits
        self._watch: Watch | None = None
        self._memory_is_kept = False
        self._out_of_memory = False
        self._tasks_at_limit = False
        self._took = 0.0
        self._tasks = self._used = self._peak = self._measured_at = 0

    def make(self) -> None:
        limits = self._limits
        self._cgroup.make(GroupLimits(limits.memory_bytes, limits.pids, limits.cpus))
        self._memory_is_kept = self._cgroup.memory_limit() == limits.memory_bytes

    def enter(self) -> None:
        self._cgroup.join("start")
        if self._limits.processors:
            os.sched_setaffinity(0, self._limits.processors)

    def begin(self, first_process: int) -> None:
        with suppress(OSError):  # it has ended already
            process = os.open(f"/proc/{first_process}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._watch = Watch(process)
            finally:
                os.close(process)

    def processes(self) -> Iterable[str]:
        return self._watch.processes() if self._watch else ()

    def count(self) -> int:
        return self._watch.look().processes if self._watch else 0

    def look(self) -> None:
        self.out_of_memory()

    def kill(self) -> None:
        self._cgroup.kill()

    def usage(self) -> Usage:
        seen = self._cgroup.usage()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Usage(
            out_of_memory=seen.out_of_memory or self._out_of_memory,
            pids_limit_hit=seen.pids_limit_hit or self._tasks_at_limit,
            # What the watch saw, or the largest process of all if that was more.
            peak_memory_bytes=seen.peak_memory_bytes or max(self._peak, used.ru_maxrss * 1024),
            cpu_seconds=used.ru_utime + used.ru_stime if seen.cpu_seconds is None else seen.cpu_seconds,
        )

    def out_of_memory(self) -> bool:
        if self._watch is None:
            return False
        began = time.monotonic()
        seen = self._watch.look()
        self._tasks = seen.tasks
        # Who is refused another process stays a little below the limit, because others end meanwhile.
        self._tasks_at_limit = self._tasks_at_limit or seen.tasks >= self._limits.pids * 0.95
        if self._memory_is_kept:
            return self._cgroup.out_of_memory()
        self._used = seen.memory_bytes
        # Exactly only when it may matter: what several processes share was counted several times.
        if self._used > self._limits.memory_bytes or self._used > self._measured_at * 1.1:
            self._measured_at, self._used = self._used, self._watch.memory()
            self._peak = max(self._peak, self._used)
        self._took = time.monotonic() - began
        self._out_of_memory = self._out_of_memory or self._used > self._limits.memory_bytes
        return self._out_of_memory

    def refused(self) -> int:
        return self._cgroup.refused()

    def wait(self) -> float:
        """Before what is left can be used up, if that is sooner than usual."""
        if self._memory_is_kept or self._watch is None:
            return LOOK_SECONDS
        memory = (self._limits.memory_bytes - self._used) / _BYTES_PER_SECOND
        tasks = (self._limits.pids - self._tasks) / _FORKS_PER_SECOND
        soon = max(_SOONEST_SECONDS, min(memory, tasks, LOOK_SECONDS))
        return max(soon, self._took / _SHARE)

    def remove(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._cgroup.remove()
