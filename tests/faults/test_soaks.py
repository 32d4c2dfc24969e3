"""Short forms of the soaks that count lines, cancellations and writers."""

import math
import random
from pathlib import Path

import pytest

from endurance.deliveries import deliver
from endurance.endings import STUBBORN, cancel_times, races
from endurance.floods import flood
from endurance.followers import follow
from endurance.isolation import CANARY, RULES, noticed, tried
from endurance.leaks import leaks
from endurance.lines import Judge, count_lines
from endurance.rig import new_rig
from endurance.switches import switch
from endurance.writers import race


def test_a_line_that_is_lost_doubled_or_moved_is_seen() -> None:
    def judged(*lines: str) -> str:
        judge = Judge()
        for seq, line in enumerate(lines, 1):
            judge.take(b'{"seq":%d,"type":"build.log","line":"%s"}' % (seq, line.encode()))
        return judge.wrong

    assert judged("build 0 0", "build 1 1", "build 2 33") == ""
    assert judged("build 0 0", "build 2 33") != ""
    assert judged("build 0 0", "build 0 0") != ""
    assert judged("build 1 1", "build 0 0") != ""


def test_every_line_arrives_once_and_in_order_under_kills_and_reconnects() -> None:
    settings = {"log_bytes": 64 * 2**20}
    with new_rig(random.Random(1), "process", settings=settings) as rig:
        counted = count_lines(rig, lines=200_000, kills=3, reconnects=20, followers=4, seconds=math.inf, say=print)
    assert counted.wrong == ()
    assert counted.lines == 200_000
    assert counted.reconnects >= 20


@pytest.mark.sandbox
@pytest.mark.parametrize("kind", STUBBORN)
def test_a_cancelled_build_leaves_no_process(kind: str) -> None:
    with new_rig(random.Random(1), "oci") as rig:
        assert len(list(cancel_times(rig, 3, kind))) == 3


def test_a_build_that_is_cancelled_in_the_moment_of_its_end_has_one_end() -> None:
    with new_rig(random.Random(1), "process") as rig:
        assert len(list(races(rig, 12))) == 12


def test_messages_that_come_again_and_again_start_a_build_once(tmp_path: Path) -> None:
    delivered = deliver(tmp_path, 6, 10, random.Random(1))
    assert delivered.messages == 66
    # One that comes after the end does nothing.
    assert delivered.seconds < 60


def test_followers_that_are_cut_off_all_at_once_come_back_and_miss_nothing() -> None:
    with new_rig(random.Random(1), "process") as rig:
        followed = follow(rig, count=100, seconds=2)
    assert followed.wrong == ()
    assert followed.rss_most < 300


def test_builds_beside_a_flood_are_whole_and_its_log_is_capped() -> None:
    cap = 2 * 2**20
    with new_rig(random.Random(1), "process", settings={"log_bytes": cap}) as rig:
        done = flood(rig, 100 * 2**20)
    assert done.kept <= cap
    assert done.beside.lags


def test_visitors_see_whole_releases_while_a_site_is_switched() -> None:
    with new_rig(random.Random(1), "process") as rig:
        done = switch(rig, seconds=5, every=0.2)
    assert done.wrong == ()
    assert done.seen == 3
    assert done.switches > 5
    assert done.requests > 200


def test_of_many_writers_of_a_layer_nobody_gets_half_of_one(tmp_path: Path) -> None:
    assert race(tmp_path, writers=6, rounds=5) == []


def test_secrets_that_builds_print_are_nowhere_in_what_is_kept_or_said() -> None:
    with new_rig(random.Random(1), "process") as rig:
        said = leaks(rig, 4, minutes=math.inf)
    assert (said.found, said.builds) == ([], 4)
    # Each of the builds printed its secret in eight forms, whole and in pieces on both streams.
    assert said.masked > 4 * 20


@pytest.mark.sandbox
@pytest.mark.parametrize("rule", RULES)
def test_builds_can_not_break_a_rule_of_isolation(rule: str) -> None:
    with new_rig(random.Random(1), "oci") as rig:
        assert list(tried(rig, rule, 1)) == [[]]


@pytest.mark.sandbox
def test_what_isolation_keeps_apart_is_noticed_where_nothing_does() -> None:
    with new_rig(random.Random(1), "oci") as rig:
        pages = noticed(rig)
    for what in ("a connection", "a process", "its child's end", "its memory's end", "/tmp/planted"):
        assert what in pages["overlap"]
    for what in ("/tmp/planted-for-the-next", "sleep", "a listener", "shared memory"):
        assert what in pages["remains"]
    assert CANARY in pages["secrets"]
