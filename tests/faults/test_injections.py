"""Random faults, each followed by a check of everything that must hold. The long form: scripts/soak faults."""

import math

import pytest

from endurance.injection import Campaign, load, run

pytestmark = pytest.mark.sandbox


def test_each_injection_follows_from_its_seed_and_number_alone() -> None:
    first, second = Campaign("a"), Campaign("a")
    chosen = [(first.choice(n)[0].number, first.choice(n)[2].random()) for n in range(50)]
    assert chosen == [(second.choice(n)[0].number, second.choice(n)[2].random()) for n in range(50)]
    assert {number for number, _ in chosen} <= {fault.number for fault in load()}


def test_after_random_faults_nothing_is_stuck_lost_or_left_behind() -> None:
    campaign = Campaign("short")
    try:
        done = run(campaign, range(10), print, until=math.inf)
    finally:
        campaign.close()
    assert done.failed == []
