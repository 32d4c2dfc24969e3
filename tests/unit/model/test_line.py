"""Whose turn it is, over any order in which builds come and end."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from headrace.model.line import Line, RunningBuild, WaitingProject, next_of, places

#: A workspace and a project.
Owner = tuple[str, str]
Happenings = Sequence[Owner | int]

#: Workspaces with two projects each.
OWNERS = [(f"w{w}", f"w{w}-p{p}") for w in range(3) for p in range(2)]

#: What happens: a build of an owner comes, or one of the running ones (by its place) ends.
HAPPENINGS = st.lists(st.one_of(st.sampled_from(OWNERS), st.integers(0, 9)), max_size=60)


@dataclass
class House:
    """Some slots, and the line before them. Its clock ticks with each thing that happens."""

    slots: int
    now: int = 0
    owner: dict[str, Owner] = field(default_factory=dict)
    came_at: dict[str, int] = field(default_factory=dict)
    started_at: dict[str, int] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    freed: dict[str, float] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)

    def line(self) -> Line:
        oldest: dict[str, WaitingProject] = {}
        counts = Counter(self.owner[build][1] for build in self.waiting)
        for build in sorted(self.waiting):
            workspace, project = self.owner[build]
            came, count = self.came_at[build], counts[project]
            oldest.setdefault(
                project,
                WaitingProject(workspace=workspace, project_id=project, build_id=build, came_at=came, count=count),
            )
        running = [
            RunningBuild(
                workspace=self.owner[build][0], project_id=self.owner[build][1], build_id=build, reserved_bytes=1
            )
            for build in self.running
        ]
        return Line(waiting=list(oldest.values()), running=running, freed_at=self.freed)

    def come(self, owner: Owner) -> str:
        self.now += 1
        build = f"b{self.now:06}"
        self.owner[build], self.came_at[build] = owner, self.now
        self.waiting.add(build)
        self.fill()
        return build

    def end(self, place: int) -> None:
        """One of the running builds ends."""
        if self.running:
            self.now += 1
            build = sorted(self.running)[place % len(self.running)]
            self.running.remove(build)
            self.freed |= dict.fromkeys(self.owner[build], self.now)
            self.fill()

    def fill(self) -> None:
        while len(self.running) < self.slots and (chosen := next_of(self.line())):
            self.now += 1
            self.waiting.remove(chosen.build_id)
            self.running.add(chosen.build_id)
            self.started.append(chosen.build_id)
            self.started_at[chosen.build_id] = self.now


def happened(slots: int, happenings: Happenings) -> House:
    house = House(slots)
    for what in happenings:
        _do(house, what)
    return house


def _do(house: House, what: Owner | int) -> None:
    if isinstance(what, tuple):
        house.come(what)
    else:
        house.end(what)


def passed(house: House, mine: str, after: Happenings, rival: Callable[[Owner], str]) -> Counter[str]:
    """Whose builds are started after `mine` came and before it is started, whatever else happens."""
    for what in after:
        if mine not in house.waiting:
            break
        _do(house, what)
    since = [build for build in house.started if house.started_at[build] > house.came_at[mine]]
    before = since[: since.index(mine)] if mine in since else since
    return Counter(rival(house.owner[build]) for build in before)


@given(slots=st.integers(1, 4), before=HAPPENINGS, after=HAPPENINGS)
def test_each_other_workspace_passes_one_that_runs_nothing_at_most_once(
    slots: int, before: Happenings, after: Happenings
) -> None:
    house = happened(slots, before)
    rivals = {house.owner[build][0] for build in house.waiting}
    mine = house.come(("mine", "mine-p"))
    found = passed(house, mine, after, lambda owner: owner[0])
    assert set(found.values()) <= {1}
    assert found.keys() <= rivals


@given(slots=st.integers(1, 4), before=HAPPENINGS, after=HAPPENINGS)
def test_each_other_project_of_a_workspace_passes_one_that_runs_nothing_at_most_once(
    slots: int, before: Happenings, after: Happenings
) -> None:
    house = happened(slots, [_in_one(what) for what in before])
    mine = house.come(("w0", "mine-p"))
    found = passed(house, mine, [_in_one(what) for what in after], lambda owner: owner[1])
    assert set(found.values()) <= {1}


@given(slots=st.integers(1, 4), many=st.integers(0, 50), end=st.integers(0, 9))
def test_a_single_rival_with_fifty_builds_costs_no_more_than_the_end_of_one(slots: int, many: int, end: int) -> None:
    house = happened(slots, [OWNERS[0]] * many)
    mine = house.come(OWNERS[2])
    if mine in house.waiting:
        house.end(end)
    assert mine in house.running


@given(slots=st.integers(1, 4), before=HAPPENINGS, which=st.integers(0, 59))
def test_nobody_waits_for_ever_whatever_comes_after_him(slots: int, before: Happenings, which: int) -> None:
    house = happened(slots, before)
    if not house.waiting:
        return
    mine = sorted(house.waiting)[which % len(house.waiting)]
    turns = 0
    while mine in house.waiting:
        house.come((f"new-{turns}", f"new-{turns}-p"))
        house.end(0)
        turns += 1
        assert turns < 1000


@given(slots=st.integers(1, 4), before=HAPPENINGS)
def test_every_waiting_build_has_a_place_of_its_own_and_whose_turn_it_is_the_first(
    slots: int, before: Happenings
) -> None:
    line = happened(slots, before).line()
    found = places(line, 500)
    assert sorted(place for of_project in found.values() for place in of_project) == list(
        range(sum(project.count for project in line.waiting))
    )
    assert all(of_project == sorted(of_project) for of_project in found.values())
    if chosen := next_of(line):
        assert found[chosen.project_id][0] == 0


def test_who_comes_at_the_same_moment_goes_by_the_order_of_its_id() -> None:
    both = [WaitingProject(workspace="w", project_id=f"p{n}", build_id=f"b{n}", came_at=1.0) for n in (2, 1)]
    chosen = next_of(Line(waiting=both))
    assert chosen
    assert chosen.build_id == "b1"


def _in_one(what: Owner | int) -> Owner | int:
    """The same, with everybody in one workspace."""
    return ("w0", what[1]) if isinstance(what, tuple) else what
