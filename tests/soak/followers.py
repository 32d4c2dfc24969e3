"""Thousands who follow one build, are cut off all at once and come back: `scripts/soak followers`."""

import argparse
import random
import secrets
import sys
from dataclasses import asdict

from endurance.figures import figure
from endurance.followers import follow
from endurance.rig import new_rig


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak followers", description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="followers")
    parser.add_argument("--seconds", type=float, default=60, help="of printing, once all have come")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    given = parser.parse_args()
    with new_rig(random.Random(given.seed), "process") as rig:
        done = follow(rig, count=given.count, seconds=given.seconds)
    figure("followers", seed=given.seed, **asdict(done))
    return 1 if done.wrong or done.rss_most > 300 or done.lag_p99 > 1 else 0


if __name__ == "__main__":
    sys.exit(main())
