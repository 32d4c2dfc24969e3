"""
The line of waiting builds: whose turn it is.

Who has the fewest builds running goes first; of several, who has waited longest: since its oldest waiting build came, or since
it last had a build that ended, whichever was later. So it is between workspaces, then between the projects of one, and a
project's own builds go in the order in which they came.

Why: somebody who asks for fifty builds must not delay somebody else who asks for one. Whoever has nothing running is passed by
each other workspace (or project of his own) at most once, and only by those that waited before he came: after its turn, such a
rival has a build running, and when that ends it has waited for a shorter time. With one rival that has the whole machine, that
is the time until the first of its builds ends. And nobody waits for ever, whatever comes after him: what comes later has
waited for a shorter time. A share of time would need to know how long builds take; turns are what people can check.

Nobody overtakes the build whose turn it is, not even where the memory that it waits for would do for a smaller one: small
builds could then keep a large one waiting for ever.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class WaitingProject:
    """A project's builds that wait."""

    workspace: str
    project_id: str
    #: The oldest.
    build_id: str
    #: When that one was asked for, in seconds since 1970.
    came_at: float
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class RunningBuild:
    """A build that was started, as long as its worker holds it."""

    workspace: str
    project_id: str
    build_id: str
    #: Memory that was set aside for it.
    reserved_bytes: int


@dataclass(frozen=True, kw_only=True)
class Line:
    waiting: Sequence[WaitingProject] = ()
    running: Sequence[RunningBuild] = ()
    #: By workspace and by project: when it last had a build that ended, in seconds since 1970. Only of those that wait.
    freed_at: Mapping[str, float] = field(default_factory=dict)


def next_of(line: Line) -> WaitingProject | None:
    """The project whose oldest build is started next."""
    if not line.waiting:
        return None
    running = Counter(name for build in line.running for name in (build.workspace, build.project_id))
    return _next(line.waiting, running, line.freed_at)


def places(line: Line, most: int) -> dict[str, list[int]]:
    """
    By project, for each of its waiting builds, the oldest first: about how many builds go before it, as things stand now (a
    project's later builds are taken to have come with its oldest). Builds that have `most` or more before them are left out.
    """
    running = Counter(name for build in line.running for name in (build.workspace, build.project_id))
    left = {project.project_id: project.count for project in line.waiting}
    found: defaultdict[str, list[int]] = defaultdict(list)
    for place in range(most):
        waiting = [project for project in line.waiting if left[project.project_id]]
        if not waiting:
            break
        taken = _next(waiting, running, line.freed_at)
        found[taken.project_id].append(place)
        left[taken.project_id] -= 1
        running.update((taken.workspace, taken.project_id))
    return found


def _next(
    waiting: Sequence[WaitingProject], running: Mapping[str, int], freed_at: Mapping[str, float]
) -> WaitingProject:
    workspace = _first(waiting, running, freed_at, lambda project: project.workspace)
    own = [project for project in waiting if project.workspace == workspace]
    chosen = _first(own, running, freed_at, lambda project: project.project_id)
    return next(project for project in own if project.project_id == chosen)


def _first(
    waiting: Sequence[WaitingProject],
    running: Mapping[str, int],
    freed_at: Mapping[str, float],
    owner: Callable[[WaitingProject], str],
) -> str:
    """The owner whose turn it is."""
    oldest: dict[str, WaitingProject] = {}
    for project in sorted(waiting, key=lambda project: project.build_id):
        oldest.setdefault(owner(project), project)

    def turn(name: str) -> tuple[int, float, str]:
        since = max(oldest[name].came_at, freed_at.get(name, 0.0))
        return running.get(name, 0), since, oldest[name].build_id

    return min(oldest, key=turn)
