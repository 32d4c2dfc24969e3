"""
The control group of a sandbox: what it used, whether a limit was hit, who is in it, and its end.

A runtime makes it. A machine may have version 1 (a tree for each controller), version 2 (one tree), or both, so every
question here is put to all of them. Standard library only: the supervisor uses it.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class CgroupMount(NamedTuple):
    path: str
    #: Empty for version 2.
    controllers: frozenset[str]


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


class Cgroup:
    """A group by its path below each tree. It need not exist (any more)."""

    def __init__(self, path: str, mounts: tuple[CgroupMount, ...] | None = None) -> None:
        self.path = path
        self._mounts = cgroup_mounts() if mounts is None else mounts

    def make(self, memory_bytes: int, pids: int) -> bool:
        """Make the group for processes that no runtime puts into one. False where this user may not."""
        for mount in self._mounts:
            directory = Path(mount.path + self.path)
            with suppress(OSError):
                directory.mkdir(parents=True, exist_ok=True)
                for parent in () if mount.controllers else reversed(directory.parents):
                    with suppress(OSError):
                        (parent / "cgroup.subtree_control").write_text("+memory +pids")
            limits = {"memory.max": memory_bytes, "memory.limit_in_bytes": memory_bytes, "pids.max": pids}
            for name, value in limits.items():
                with suppress(OSError):
                    if (directory / name).exists():
                        (directory / name).write_text(str(value))
        return any(Path(directory, "cgroup.procs").exists() for directory in self._directories())

    def join(self) -> None:
        """Put the calling process in."""
        for directory in self._directories():
            with suppress(OSError):
                Path(directory, "cgroup.procs").write_text("0")

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
        memory_events = self._counters("memory", "memory.events", "memory.oom_control")
        pids_events = self._counters("pids", "pids.events", "pids.events")
        return Usage(
            out_of_memory=memory_events.get("oom_kill", 0) > 0,
            pids_limit_hit=pids_events.get("max", 0) > 0,
            peak_memory_bytes=self._number("memory", "memory.peak", "memory.max_usage_in_bytes"),
            cpu_seconds=self._cpu_seconds(),
        )

    def out_of_memory(self) -> bool:
        """Whether the kernel killed something in the group for memory. Cheap, to be asked often."""
        return self._counters("memory", "memory.events", "memory.oom_control").get("oom_kill", 0) > 0

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

    def _counters(self, controller: str, new: str | None, old: str | None) -> dict[str, int]:
        pairs = (line.split() for line in self._read(controller, new, old).splitlines())
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}

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
