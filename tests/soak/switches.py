"""A site that is switched from release to release while people visit it: errors, mixed pages, and how long answers take."""

import argparse
import random
import secrets
import sys

from endurance.figures import figure
from endurance.rig import new_rig
from endurance.switches import switch


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak switches", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--every", type=float, default=1, help="seconds from one switch to the next")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    given = parser.parse_args()
    with new_rig(random.Random(given.seed), "process") as rig:
        done = switch(rig, seconds=given.minutes * 60, every=given.every)
    figure(
        "switches",
        seconds=round(done.seconds, 1),
        switches=done.switches,
        requests=done.requests,
        per_second=round(done.requests / done.seconds),
        p99=round(done.p99, 4),
        most=round(done.most, 4),
        wrong=len(done.wrong),
        first_wrong=done.wrong[:5],
    )
    return 1 if done.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
