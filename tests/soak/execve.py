"""
Hostile strings in every field of the API, while every program that the server starts is recorded: none is chosen by a stranger's
words, and none gets them but as a value of git's. First each string in each field, then two of them at a time. The short form is
`tests/hostile/test_execve.py`.
"""

import argparse
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.hostile.audited import AuditedServer
from tests.hostile.execaudit import violations
from tests.hostile.hostile_strings import MARK, hostile_strings, in_turn, joined
from tests.server import environment_of

from endurance.figures import figure


def _rounds(strings: list[str], randomness: Random) -> Iterator[Iterator[list[str]]]:
    yield in_turn(strings, each=len(strings))
    while True:
        mixed = joined(strings, randomness)
        yield in_turn(mixed, each=len(mixed))


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak execve", description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", default=secrets.token_hex(4))
    given = parser.parse_args()
    statuses, fields = Counter[int](), set[str]()
    with tempfile.TemporaryDirectory(prefix="execve-") as place:
        data, canary = Path(place, "data"), Path(place, "canary")
        data.mkdir(mode=0o700)
        # What a build would fetch: nobody is there.
        environment = environment_of(data, executor="fake", npm_registry="http://127.0.0.1:1", git_hosts="localhost")
        server = AuditedServer(environment, data)
        server.start()
        for values in _rounds(hostile_strings(canary), Random(given.seed)):
            for request, status in server.attack(values):
                statuses[status] += 1
                fields.add(request.where)
                if statuses.total() == given.inputs:
                    break
            print(f"{statuses.total()} inputs", flush=True)
            if statuses.total() == given.inputs:
                break
        ran = server.ran()
        wrong = violations(ran, MARK) + (["the canary"] if canary.exists() else [])
    figure(
        "execve",
        seed=given.seed,
        inputs=statuses.total(),
        fields=len(fields),
        statuses={str(status): count for status, count in sorted(statuses.items())},
        programs=len(ran),
        violations=wrong,
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
