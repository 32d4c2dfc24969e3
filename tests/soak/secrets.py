"""Builds with secrets that they print, and a search for these in all that is kept or said: `scripts/soak secrets`."""

import argparse
import random
import secrets
import sys

from endurance.figures import figure
from endurance.leaks import leaks
from endurance.rig import new_rig


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak secrets", description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no build after this time")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--executor", default="oci", choices=("process", "oci"))
    given = parser.parse_args()
    with new_rig(random.Random(given.seed), given.executor) as rig:
        said = leaks(rig, given.count, minutes=given.minutes)
    figure(
        "secrets", seed=given.seed, executor=given.executor, builds=said.builds, masked=said.masked, found=said.found
    )
    return 1 if said.found else 0


if __name__ == "__main__":
    sys.exit(main())
