"""How much memory is free for builds: what the operator gives them, what is set aside, and what the kernel says."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from headrace.model.limits import MIB
from headrace.model.line import RunningBuild
from headrace.pipeline.context import is_preview
from headrace.pipeline.services import Services

_MEMINFO = Path("/proc/meminfo")
#: Of the group that everything here is in, when this machine is a container: limit and use, of both versions.
_OWN_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)
#: Left to the server and to everything else on the machine.
_SPARE = 256 * MIB


@dataclass(frozen=True, kw_only=True)
class Memory:
    """As it was measured a moment ago."""

    #: What builds and warm previews may have together.
    budget: int
    #: What warm previews hold now.
    previews: int = 0
    #: What each running build uses now, where that is known.
    used: Mapping[str, int] = field(default_factory=dict)
    #: What the kernel could give without taking it from somebody; None where nobody says.
    available: int | None = None

    def free(self, running: Sequence[RunningBuild]) -> int:
        """
        What another build can have. What running builds may still come to use is theirs, so the kernel's figure alone says
        too much. Below zero when more is promised than there is.
        """
        used = {build.build_id: self.used.get(build.build_id, 0) for build in running}
        held = sum(max(build.reserved_bytes, used[build.build_id]) for build in running)
        by_budget = self.budget - self.previews - held
        if self.available is None:
            return by_budget
        to_come = sum(max(0, build.reserved_bytes - used[build.build_id]) for build in running)
        return min(by_budget, self.available - _SPARE - to_come)


async def measure(services: Services) -> Memory:
    """Of all processes that share this data directory: sandboxes are found by their names, whoever opened them."""
    executor = services.executor(services.settings.executor)
    names = await executor.existing()
    sizes = await asyncio.gather(*(executor.memory_of(name) for name in names))
    previews, used = 0, defaultdict[str, int](int)
    for name, size in zip(names, sizes, strict=True):
        if is_preview(name):
            previews += size or 0
        else:
            used[name.rpartition("-")[0]] += size or 0
    available = await asyncio.to_thread(available_bytes)
    return Memory(budget=services.settings.builds_memory_bytes, previews=previews, used=used, available=available)


def available_bytes() -> int | None:
    """Bytes that the kernel could give to new processes without swapping; None where nobody says."""
    known = [_of_machine(), *(_of_group(*paths) for paths in _OWN_LIMITS)]
    return min((free for free in known if free is not None), default=None)


def _of_machine() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _of_group(limit: str, used: str, counters: str) -> int | None:
    with suppress(OSError, ValueError):
        most, now = int(Path(limit).read_text()), int(Path(used).read_text())
        # Pages of files that the kernel can drop.
        words = dict(line.split() for line in Path(counters).read_text().splitlines())
        cached = int(words.get("total_inactive_file", words.get("inactive_file", 0)))
        return most - (now - cached)
    return None
