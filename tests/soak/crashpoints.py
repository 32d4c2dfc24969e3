"""Small real programs, killed at each of their system calls: `scripts/soak crashpoints`."""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from endurance.crashpoints import Program, sample
from endurance.figures import figure
from endurance.programs import NAMES


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak crashpoints", description=__doc__)
    parser.add_argument("--program", action="append", choices=NAMES, help="without it all of them")
    parser.add_argument("--count", type=int, default=10**9, help="points of each kind of call at most")
    parser.add_argument("--seed", default="0", help="which points, when there are more")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after this time")
    given = parser.parse_args()
    chance, end = random.Random(given.seed), time.monotonic() + given.minutes * 60
    failed = 0
    for name in given.program or NAMES:
        struck, missed = Counter[str](), 0
        with tempfile.TemporaryDirectory(prefix="headrace-crash-") as place, Program(name, Path(place)) as program:
            every = program.points()
            for point in sample(every, given.count, chance):
                if time.monotonic() > end:
                    break
                try:
                    if program.strike(point):
                        struck[point.call] += 1
                    else:
                        missed += 1
                except AssertionError as exc:
                    failed += 1
                    print(f"✗ {exc}", flush=True)
        figure("crashpoints", program=name, points=len(every), struck=dict(struck), missed=missed, failed=failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
