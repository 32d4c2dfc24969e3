"""Random faults at random times of random builds, all from one seed, and what must hold after each."""

import argparse
import secrets
import sys
import time

from endurance.figures import figure
from endurance.injection import Campaign, load, run
from endurance.power import own_mounts


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak faults", description=__doc__)
    parser.add_argument("--seed", default=secrets.token_hex(4), help="what is done follows from it")
    parser.add_argument("--count", type=int, default=500, help="injections")
    parser.add_argument("--from", dest="first", type=int, default=0, help="number of the first injection")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--only", action="append", default=[], help="faults by number, such as F1")
    parser.add_argument("--long", action="store_true", help="also faults that take all of the machine")
    parser.add_argument("--list", action="store_true", help="say which faults there are")
    given = parser.parse_args()
    if given.list:
        for one in load():
            print(f"{one.number:5} {one.name}")
        return 0
    own_mounts()
    campaign = Campaign(given.seed, only=given.only, long=given.long)
    numbers = range(given.first, given.first + given.count)
    began = time.monotonic()
    try:
        done = run(campaign, numbers, lambda text: print(text, flush=True), until=began + given.minutes * 60)
    finally:
        campaign.close()
    took = round(time.monotonic() - began)
    figure("faults", seed=given.seed, injected=done.injected, failed=len(done.failed), seconds=took)
    return 1 if done.failed else 0


if __name__ == "__main__":
    sys.exit(main())
