"""Lines of one build under kills of the server and reconnects of its readers: `scripts/soak logs`."""

import argparse
import random
import secrets
import sys
from dataclasses import asdict

from endurance.figures import figure
from endurance.lines import count_lines
from endurance.rig import new_rig


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak logs", description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--kills", type=int, default=100, help="of the server")
    parser.add_argument("--reconnects", type=int, default=1000, help="of all followers together")
    parser.add_argument("--followers", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="say what was counted until then")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--executor", default="process", choices=("process", "oci"))
    given = parser.parse_args()
    # All of the lines are kept.
    settings = {"log_bytes": 64 * given.lines + 2**20, "build_seconds": 24 * 3600}
    with new_rig(random.Random(given.seed), given.executor, settings=settings) as rig:
        counted = count_lines(
            rig,
            lines=given.lines,
            kills=given.kills,
            reconnects=given.reconnects,
            followers=given.followers,
            seconds=given.minutes * 60,
            say=lambda text: print(text, flush=True),
        )
    figure("logs", seed=given.seed, **asdict(counted))
    return 1 if counted.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
