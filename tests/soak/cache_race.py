"""Writers that make the same layer at once: whoever gets one gets a whole one. `scripts/soak cache_race`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from endurance.figures import figure
from endurance.writers import race


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak cache_race", description=__doc__)
    parser.add_argument("--writers", type=int, default=20)
    parser.add_argument("--count", type=int, default=100, help="rounds")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="headrace-race-") as place:
        wrong = race(Path(place), writers=given.writers, rounds=given.count)
    for line in wrong:
        print(f"✗ {line}")
    took = round(time.monotonic() - began, 1)
    figure("cache_race", writers=given.writers, rounds=given.count, bad=len(wrong), seconds=took)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
