"""
The control group of a sandbox: what it used, whether a limit was hit, who is in it, and its end.

A runtime makes it, or where this user is not root but was given a part of the trees, the supervisor. A machine may have version 1 (a tree for each controller), version 2 (one tree), or both, so every
question here is put to all of them. Standard library only: the supervisor uses it.
"""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

#: Where the service's own processes go in a tree of version 2 that was given to its user.
_SERVICE = "headrace-service"
WANTED = frozenset({"memory", "pids", "cpu"})
_PERIOD = 100_000


class CgroupMount(NamedTuple):
    path: str
    #: Empty for version 2.
    controllers: frozenset[str]


class GroupLimits(NamedTuple):
    memory_bytes: int
    pids: int
    cpus: float | None = None


class Usage(NamedTuple):
    out_of_memory: bool = False
    pids_limit_hit: bool = False
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None


def cgroup_mounts() -> tuple[CgroupMount, ...]:
    """The trees of this machine, as this process sees them."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2":
            found.append(CgroupMount(before.split(" ")[4], frozenset()))
        elif kind == "cgroup":
            found.append(CgroupMount(before.split(" ")[4], frozenset(options.split(","))))
    return tuple(found)


def delegated_mounts() -> tuple[CgroupMount, ...]:
    """
    The parts of the trees that this user may make groups in: below the group that this process is in, where that was given
    to the user.
    """
    found = []
    for mount in own_groups():
        place = Path(mount.path)
        if place.name == _SERVICE:
            place = place.parent
        if os.access(place, os.W_OK) and os.access(place / "cgroup.procs", os.W_OK):
            found.append(CgroupMount(str(place), mount.controllers))
    return tuple(found)


def own_groups() -> Iterator[CgroupMount]:
    """The groups that this process is in."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        own[frozenset(controllers.split(",")) - {""}] = group
    for mount in cgroup_mounts():
        # Version 2 has no names; version 1 also says options of its mounts.
        for named, group in own.items():
            if named <= mount.controllers and bool(named) == bool(mount.controllers):
                yield CgroupMount(mount.path + group, mount.controllers)
                break


def hasten_moves() -> None:
    """
    The first move of a process to another group waits for all processors, for ten milliseconds or more; one that comes a moment
    later does not. So this process moves to where it is, while that of a sandbox is still being started. Blocks.
    """
    with suppress(OSError):  # who may not has no part in it
        for group in own_groups():
            Path(group.path, "cgroup.procs").write_text("0")
            return


class Delegated(NamedTuple):
    """What a user who is not root was given of the machine's control groups."""

    mounts: tuple[CgroupMount, ...] = ()
    #: Of `memory`, `pids` and `cpu`.
    controllers: frozenset[str] = frozenset()


def take_delegated() -> Delegated:
    """What there is, made ready for groups of sandboxes."""
    mounts = delegated_mounts()
    return Delegated(mounts, frozenset().union(*(_make_room(mount) for mount in mounts)) & WANTED)


def _make_room(mount: CgroupMount) -> frozenset[str]:
    """
    The controllers that groups in this delegated part of a tree have. In version 2 a group with processes of its own can't hand
    controllers on, so those go to a group beside the sandboxes'.
    """
    if mount.controllers:
        return mount.controllers
    place = Path(mount.path)
    with suppress(OSError):
        if wanted := WANTED.intersection((place / "cgroup.controllers").read_text().split()):
            (place / _SERVICE).mkdir(exist_ok=True)
            for pid in (place / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    (place / _SERVICE / "cgroup.procs").write_text(pid)
            _hand_on(place, wanted)
        return frozenset((place / "cgroup.subtree_control").read_text().split())
    return frozenset()


def _hand_on(directory: Path, controllers: Iterable[str]) -> None:
    """Groups below get these controllers, as far as there are any to give. One by one: a missing one would stop the others."""
    for controller in sorted(controllers):
        with suppress(OSError):
            (directory / "cgroup.subtree_control").write_text(f"+{controller}")


class Cgroup:
    """A group by its path below each tree. It need not exist (any more)."""

    def __init__(self, path: str, mounts: tuple[CgroupMount, ...] | None = None) -> None:
        self.path = path
        self._mounts = cgroup_mounts() if mounts is None else mounts

    def make(self, limits: GroupLimits) -> bool:
        """Make the group for processes that no runtime puts into one. False where this user may not."""
        for mount in self._mounts:
            directory = Path(mount.path + self.path)
            if not Path(mount.path, "cgroup.procs").exists():
                continue  # something else is mounted over it
            with suppress(OSError):
                directory.mkdir(parents=True, exist_ok=True)
                for parent in () if mount.controllers else reversed(directory.parents):
                    if parent.is_relative_to(mount.path):  # above it are no groups, and a file would be made
                        _hand_on(parent, WANTED)
            for name, value in _files(limits).items():
                with suppress(OSError):
                    if (directory / name).exists():
                        (directory / name).write_text(value)
        return any(Path(directory, "cgroup.procs").exists() for directory in self._directories())

    def join(self, leaf: str = "") -> None:
        """
        Put the calling process in; in version 2 into the group `leaf` below, because a runtime that is to make no group of its
        own makes one beside its own all the same.
        """
        for mount in self._mounts:
            directory = mount.path + self.path
            with suppress(OSError):
                if leaf and not mount.controllers:
                    directory = f"{directory}/{leaf}"
                    Path(directory).mkdir(exist_ok=True)
                descriptor = os.open(f"{directory}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
                try:
                    os.write(descriptor, b"0")
                finally:
                    os.close(descriptor)

    def processes(self) -> set[int]:
        """Everything in the group and in groups below it, by process id."""
        pids: set[int] = set()
        for directory in self._directories():
            for folder, _, _ in os.walk(directory):
                with suppress(OSError):
                    pids.update(int(pid) for pid in Path(folder, "cgroup.procs").read_text().split())
        return pids

    def kill(self, patience: float = 2) -> bool:
        """Kill until nobody is left. False when somebody still is after `patience` seconds."""
        end = time.monotonic() + patience
        while pids := self.processes():
            self._kill_at_once()
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    def remove(self) -> bool:
        """Remove the empty group. False when something is left of it."""
        for directory in self._directories():
            for folder, _, _ in os.walk(directory, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()
        return not self._directories()

    def usage(self) -> Usage:
        return Usage(
            out_of_memory=self.out_of_memory(),
            pids_limit_hit=self.refused() > 0,
            peak_memory_bytes=self._number("memory", "memory.peak", "memory.max_usage_in_bytes"),
            cpu_seconds=self._cpu_seconds(),
        )

    def refused(self) -> int:
        """How many processes and threads the kernel refused the group, because it has as many as it may. 0 where nobody counts."""
        return self._events("pids", "pids.events", "pids.events", "max")

    def out_of_memory(self) -> bool:
        """Whether the kernel killed something in the group for memory. Cheap, to be asked often."""
        return self._events("memory", "memory.events", "memory.oom_control", "oom_kill") > 0

    def memory_limit(self) -> int | None:
        """The limit as the kernel keeps it; None where it keeps none."""
        return self._number("memory", "memory.max", "memory.limit_in_bytes")

    def memory(self) -> int | None:
        """Bytes in use now, without pages of files that the kernel can drop. None where nobody counts."""
        used = self._number("memory", "memory.current", "memory.usage_in_bytes")
        if used is None:
            return None
        counters = self._counters("memory", "memory.stat", "memory.stat")
        # Version 1 has its own pages under these names, and those of the groups below it under the others.
        cached = sum(counters.get(f"total_{name}", counters.get(name, 0)) for name in ("active_file", "inactive_file"))
        return max(0, used - cached)

    def _cpu_seconds(self) -> float | None:
        nanoseconds = self._number("cpuacct", None, "cpuacct.usage")
        if nanoseconds is not None:
            return nanoseconds / 1e9
        microseconds = self._counters("cpu", "cpu.stat", None).get("usage_usec")
        return None if microseconds is None else microseconds / 1e6

    def _events(self, controller: str, new: str, old: str, name: str) -> int:
        """In version 1 an event is told by the group that it happened in, and a runtime may have made one below this."""
        count = self._counters(controller, new, old).get(name, 0)
        for mount in self._mounts:
            if controller in mount.controllers:
                for folder, below, _ in os.walk(mount.path + self.path):
                    for group in below:
                        with suppress(OSError):
                            count += _numbers(Path(folder, group, old).read_text()).get(name, 0)
        return count

    def _counters(self, controller: str, new: str | None, old: str | None) -> dict[str, int]:
        return _numbers(self._read(controller, new, old))

    def _number(self, controller: str, new: str | None, old: str | None) -> int | None:
        text = self._read(controller, new, old).strip()
        return int(text) if text.isdigit() else None

    def _read(self, controller: str, new: str | None, old: str | None) -> str:
        """File `new` of version 2 or `old` of version 1, whichever tree has this controller."""
        for mount in self._mounts:
            name = old if controller in mount.controllers else new if not mount.controllers else None
            if name:
                with suppress(OSError):
                    return Path(mount.path + self.path, name).read_text()
        return ""

    def _directories(self) -> list[str]:
        return [found for mount in self._mounts if Path(found := mount.path + self.path).is_dir()]

    def _kill_at_once(self) -> None:
        """Version 2 kills a whole group in one go; version 1 needs the loop."""
        for directory in self._directories():
            with suppress(OSError):
                Path(directory, "cgroup.kill").write_text("1")


def _numbers(text: str) -> dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _files(limits: GroupLimits) -> dict[str, str]:
    """What says these limits, in both versions. Whichever file is there is the one that counts."""
    memory = str(limits.memory_bytes)
    said = {
        "memory.max": memory,
        "memory.swap.max": "0",
        "memory.limit_in_bytes": memory,
        # Memory and swap together: equal numbers mean that there is none. Not before the limit of memory.
        "memory.memsw.limit_in_bytes": memory,
        "pids.max": str(limits.pids),
    }
    if limits.cpus is not None:
        quota = max(1000, int(limits.cpus * _PERIOD))
        said |= {"cpu.max": f"{quota} {_PERIOD}", "cpu.cfs_period_us": str(_PERIOD), "cpu.cfs_quota_us": str(quota)}
    return said
