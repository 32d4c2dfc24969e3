"""Builds that are cancelled in the moment of their end: each has one end, and none is seen after it was cancelled."""

import argparse
import random
import secrets
import sys
import time
from collections import Counter

from endurance.endings import races
from endurance.figures import figure
from endurance.rig import new_rig


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak races", description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    given = parser.parse_args()
    end, outcomes = time.monotonic() + given.minutes * 60, Counter[str]()
    with new_rig(random.Random(given.seed), "process") as rig:
        for outcome in races(rig, given.count):
            outcomes[outcome] += 1
            if time.monotonic() > end:
                break
    figure("races", seed=given.seed, count=outcomes.total(), outcomes=dict(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
