"""Every system call is a place to die at. The long form: scripts/soak crashpoints, scripts/soak power."""

import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from endurance.crashpoints import Program, sample

ROOT = Path(__file__).parents[2]
#: How many points of each kind of call: all that rename, flush, link and unlink where that is quick.
SHORT: Mapping[str, int] = {"events": 20, "layers": 3, "blobs": 2, "publish": 1, "database": 1}


@pytest.mark.parametrize("name", SHORT)
def test_what_a_killed_process_leaves_is_whole_or_made_whole(name: str, tmp_path: Path) -> None:
    with Program(name, tmp_path) as program:
        every = program.points()
        assert {point.call for point in every} >= {"write", "openat"}
        struck = [program.strike(point) for point in sample(every, SHORT[name], random.Random(1))]
    assert struck.count(True) > len(struck) * 0.9


def test_what_was_acknowledged_survives_a_power_cut() -> None:
    # A process of its own, whose mounts no sandbox of another test has a copy of.
    ended = subprocess.run(
        [sys.executable, "-m", "tests.soak.power", "--seed", "short", "--count", "10"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "tests" / "faults"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
