"""Random faults, each followed by a check of everything that must hold. The long form: scripts/soak faults."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from endurance.injection import Campaign, load

ROOT = Path(__file__).parents[2]


def test_each_injection_follows_from_its_seed_and_number_alone() -> None:
    first, second = Campaign("a"), Campaign("a")
    chosen = [(first.choice(n)[0].number, first.choice(n)[2].random()) for n in range(50)]
    assert chosen == [(second.choice(n)[0].number, second.choice(n)[2].random()) for n in range(50)]
    assert {number for number, _ in chosen} <= {fault.number for fault in load()}


@pytest.mark.sandbox
def test_after_random_faults_nothing_is_stuck_lost_or_left_behind() -> None:
    # A process of its own: disks are mounted that no sandbox of another test may have a copy of.
    ended = subprocess.run(
        [sys.executable, "-m", "tests.soak.faults", "--seed", "ci4158", "--count", "8"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests" / "faults")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
