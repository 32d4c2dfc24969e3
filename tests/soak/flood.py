"""A build that prints gigabytes beside quiet ones: how quick the API and the others' logs are meanwhile."""

import argparse
import random
import secrets
import sys

from endurance.figures import figure
from endurance.floods import flood
from endurance.rig import new_rig

_MIB = 2**20


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak flood", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=10)
    parser.add_argument("--executor", choices=("oci", "process"), default="oci")
    parser.add_argument("--cap", type=int, default=256, help="of a log, in MiB")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    given = parser.parse_args()
    with new_rig(random.Random(given.seed), given.executor, settings={"log_bytes": given.cap * _MIB}) as rig:
        done = flood(rig, int(given.gigabytes * 1e9))
    figure(
        "flood",
        printed=done.printed,
        kept=done.kept,
        on_disk=done.on_disk,
        seconds=round(done.seconds, 1),
        quiet_builds=done.quiet_builds,
        alone=done.alone.p99(),
        beside=done.beside.p99(),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
