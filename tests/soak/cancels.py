"""How long it takes until a cancelled build has ended and its processes are gone: `scripts/soak cancels`."""

import argparse
import random
import secrets
import sys
import time

from endurance.endings import STUBBORN, cancel_times
from endurance.figures import figure, percentile
from endurance.rig import new_rig


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak cancels", description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--executor", default="oci", choices=("process", "oci"))
    parser.add_argument("--kind", default="daemons", choices=tuple(STUBBORN))
    given = parser.parse_args()
    end, taken = time.monotonic() + given.minutes * 60, list[float]()
    with new_rig(random.Random(given.seed), given.executor) as rig:
        for seconds in cancel_times(rig, given.count, given.kind):
            taken.append(seconds)
            if time.monotonic() > end:
                break
    parts = {f"p{part}": round(percentile(taken, part / 100), 3) for part in (50, 90, 99)}
    figure(
        "cancels",
        seed=given.seed,
        executor=given.executor,
        kind=given.kind,
        count=len(taken),
        **parts,
        most=round(max(taken), 3),
    )
    return 1 if parts["p99"] > 2 else 0


if __name__ == "__main__":
    sys.exit(main())
