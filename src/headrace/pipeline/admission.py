"""
Which build is started next, and whether there is room for it: one decision, in one transaction, for all processes that share
the database.

Whose turn it is, `model.line` says. There is room when fewer builds run than may at once, and when what the build is taken to
need fits into the memory that is free. What a build is started with is set aside for it in its row as long as its lease lasts.
When nothing runs, the next build is started whatever it needs: waiting would not help it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from headrace.model.build import Build, BuildStatus, WaitReason
from headrace.model.event import BuildWaiting
from headrace.model.job import Lease
from headrace.model.limits import GIB, MIB
from headrace.model.line import Line, next_of, places
from headrace.pipeline.memory import Memory, measure
from headrace.pipeline.services import Services
from headrace.records import builds
from headrace.records import line as lines
from headrace.records.line import Peaks
from headrace.settings import Settings

#: A build may need somewhat more than those before it.
_HEADROOM = 1.25
#: A first build has more to do than the usual one: nothing is cached.
_FIRST_HEADROOM = 1.5
_LEAST = 64 * MIB
#: Nobody counts further.
_MOST_PLACES = 500


@dataclass(frozen=True, kw_only=True)
class Need:
    bytes: int
    #: Behind "it needs about 1.2 GiB".
    why: str


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a build stands that waits."""

    #: How many are started before it; None when they are too many to count.
    ahead: int | None
    #: What the first of the line waits for; None when it starts in a moment.
    reason: WaitReason | None
    message: str


async def admit(services: Services, besides: Collection[str] = ()) -> Lease | BuildWaiting | None:
    """
    The next build, but none of those `besides`, taken; or why it has to wait, when that is memory. None when none waits, or as many run as may.

    A build that was started before, and whose worker is gone, comes first and has its room already: its commands may run.
    """
    while True:
        async with services.db.read() as c:
            line, left = await lines.line(c, besides), await lines.abandoned(c, besides)
        if left is None and (not line.waiting or _full(services.settings, line)):
            return None
        # Before the transaction: looking around must not keep others from writing.
        memory = await measure(services) if line.running else None
        async with services.db.write(durable=False) as c:
            if left := await lines.abandoned(c, besides):
                return await builds.claim(
                    c, left, *_worker(services), reserved_bytes=_need(services, await lines.peaks(c, left)).bytes
                )
            line = await lines.line(c, besides)
            if (chosen := next_of(line)) is None or _full(services.settings, line):
                return None
            need = _need(services, await lines.peaks(c, chosen.build_id))
            if not line.running or (memory is not None and need.bytes <= memory.free(line.running)):
                return await builds.claim(c, chosen.build_id, *_worker(services), reserved_bytes=need.bytes)
        if memory is not None:
            return BuildWaiting(
                build_id=chosen.build_id,
                reason=WaitReason.MEMORY,
                needed_bytes=need.bytes,
                free_bytes=max(0, memory.free(line.running)),
                message=_short_of(need, memory, line),
            )
        # Somebody has started the first build meanwhile, so that memory matters now.


async def standings(services: Services, waiting: list[Build]) -> dict[str, Standing]:
    """How these builds stand, by id; those that don't wait (any more) are left out."""
    wanted = [build.id for build in waiting if build.status is BuildStatus.QUEUED]
    if not wanted:
        return {}
    async with services.db.read() as c:
        line, ranks = await lines.line(c), await lines.ranks(c, wanted)
        first = next_of(line)
        need = _need(services, await lines.peaks(c, first.build_id)) if first else None
    reason, message = None, ""
    if _full(services.settings, line):
        reason, message = WaitReason.SLOTS, _full_words(services.settings, line)
    elif need is not None and line.running:
        memory = await measure(services)
        if need.bytes > memory.free(line.running):
            reason, message = WaitReason.MEMORY, _short_of(need, memory, line)
    places_of = places(line, _MOST_PLACES)
    projects = {build.id: build.project_id for build in waiting}
    free = 0 if reason else services.settings.builds_at_once - len(line.running)
    found = {}
    for build_id, rank in ranks.items():
        of_project = places_of.get(projects[build_id], [])
        ahead = of_project[rank] if rank < len(of_project) else None
        starts = ahead is not None and ahead < free
        found[build_id] = Standing(ahead=ahead, reason=reason, message="" if starts else _words(ahead, reason, message))
    return found


def _words(ahead: int | None, reason: WaitReason | None, message: str) -> str:
    if ahead == 0:
        return message
    before = (
        f"more than {_MOST_PLACES} builds go"
        if ahead is None
        else "one build goes"
        if ahead == 1
        else f"{ahead} builds go"
    )
    if reason is WaitReason.MEMORY:
        message = f"of the first of them: {message}"
    return f"{before} before it" + (f"; {message}" if message else "")


async def wake(services: Services) -> int:
    """Wake workers for builds that nobody works on: as many as could be started. How many were woken."""
    async with services.db.read() as c:
        waiting = await builds.unheld(c, most=services.settings.builds_at_once)
    for build_id in waiting:
        await services.queue.enqueue(build_id)
    return len(waiting)


def _worker(services: Services) -> tuple[str, float]:
    return services.worker, services.settings.lease_seconds


def _need(services: Services, peaks: Peaks) -> Need:
    """What the build is taken to need: as builds before it did, or else all that it may have."""
    limit = services.settings.memory_bytes
    if peaks.project:
        return Need(bytes=_between(peaks.project * _HEADROOM, limit), why="judging by its project's last builds")
    if peaks.of_framework:
        why = f"judging by other projects with {peaks.framework}"
        return Need(bytes=_between(peaks.of_framework * _FIRST_HEADROOM, limit), why=why)
    return Need(bytes=limit, why="all that it may have: nothing like it was built here yet")


def _between(wanted: float, limit: int) -> int:
    return min(limit, max(_LEAST, int(wanted)))


def _full(settings: Settings, line: Line) -> bool:
    return len(line.running) >= settings.builds_at_once


def _full_words(settings: Settings, line: Line) -> str:
    running = "one build runs" if len(line.running) == 1 else f"{len(line.running)} builds run"
    return f"{running}, as many as may at once (HEADRACE_BUILDS_AT_ONCE={settings.builds_at_once})"


def _short_of(need: Need, memory: Memory, line: Line) -> str:
    held = sum(build.reserved_bytes for build in line.running)
    parts = [f"{_size(held)} are set aside for running builds"]
    if memory.previews:
        parts.append(f"previews hold {_size(memory.previews)}")
    if memory.available is not None:
        parts.append(f"the machine has {_size(memory.available)} free")
    free = _size(max(0, memory.free(line.running)))
    return (
        f"it needs about {_size(need.bytes)} of memory, {need.why}, and {free} of {_size(memory.budget)} "
        f"(HEADRACE_BUILDS_MEMORY_BYTES) are left: {', '.join(parts)}"
    )


def _size(count: int) -> str:
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / MIB:.0f} MiB"
