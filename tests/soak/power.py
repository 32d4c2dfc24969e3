"""The power is cut while builds are published, layers saved, blobs and events written: `scripts/soak power`."""

import argparse
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from endurance.figures import figure
from endurance.power import cut_during, own_mounts
from endurance.programs import NAMES


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak power", description=__doc__)
    parser.add_argument("--program", action="append", choices=NAMES, help="without it each in turn")
    parser.add_argument("--count", type=int, default=200, help="cuts")
    parser.add_argument("--from", dest="first", type=int, default=0, help="number of the first cut")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="the moments of the cuts follow from it")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after this time")
    given = parser.parse_args()
    programs, end = given.program or NAMES, time.monotonic() + given.minutes * 60
    own_mounts()
    cuts, promised, failed = Counter[str](), 0, 0
    with tempfile.TemporaryDirectory(prefix="headrace-power-") as place:
        for number in range(given.first, given.first + given.count):
            if time.monotonic() > end:
                break
            program = programs[number % len(programs)]
            seconds = random.Random(f"{given.seed}:{number}").random() * 1.5
            cuts[program] += 1
            try:
                promised += cut_during(program, Path(place) / "cut", seconds)
            except AssertionError as exc:
                failed += 1
                print(f"✗ {number}: {exc}", flush=True)
                print(f"  again: scripts/soak power --seed {given.seed} --from {number} --count 1", flush=True)
    figure("power", seed=given.seed, cuts=dict(cuts), promised=promised, failed=failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
