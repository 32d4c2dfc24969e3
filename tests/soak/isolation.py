"""Builds that would break the four rules of isolation of SLSA's third build level: `scripts/soak isolation`."""

import argparse
import random
import secrets
import sys

from endurance.figures import figure
from endurance.isolation import RULES, tried
from endurance.rig import new_rig


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak isolation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="of each rule")
    parser.add_argument("--rule", action="append", choices=RULES, help="only this one; may be given several times")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--executor", default="oci", choices=("oci", "docker"))
    given = parser.parse_args()
    failed = False
    with new_rig(random.Random(given.seed), given.executor) as rig:
        for rule in given.rule or RULES:
            wrong = [what for found in tried(rig, rule, given.rounds) for what in found]
            figure("isolation", rule=rule, executor=given.executor, rounds=given.rounds, wrong=wrong)
            failed = failed or bool(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
