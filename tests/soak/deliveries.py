"""The same messages again and again, to several workers, in any order: each build is started once and ends once."""

import argparse
import random
import secrets
import sys
import tempfile
from pathlib import Path

from endurance.deliveries import deliver
from endurance.figures import figure

#: Builds of one directory.
_AT_ONCE = 25


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak deliveries", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=100, help="how often each message comes")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    given = parser.parse_args()
    chance, messages, builds, cancelled, slowest = random.Random(given.seed), 0, 0, 0, 0.0
    while messages < given.messages:
        with tempfile.TemporaryDirectory(prefix="headrace-deliveries-") as place:
            done = deliver(Path(place), _AT_ONCE, given.times, chance)
        messages, builds = messages + done.messages, builds + done.builds
        cancelled, slowest = cancelled + done.cancelled, max(slowest, done.seconds)
    figure(
        "deliveries",
        seed=given.seed,
        messages=messages,
        builds=builds,
        cancelled=cancelled,
        slowest_for_an_ended_build=round(slowest, 3),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
