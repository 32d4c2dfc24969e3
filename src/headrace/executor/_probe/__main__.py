"""
One JSON line for each control that can be seen from inside.

    python -m headrace.executor._probe look GIVEN [CONTROL…]    `GIVEN` is `given.Given` as JSON
    python -m headrace.executor._probe leave MARK               the other sandbox: see `neighbour`
    python -m headrace.executor._probe meet DEED                run into a limit that ends whoever does: see `deeds`
"""

import json
import sys

from headrace.executor._probe import calls, deeds, files, identity, neighbour, network, resources
from headrace.executor._probe.attempt import Seen
from headrace.executor._probe.given import from_text

PROBES = {**identity.PROBES, **calls.PROBES, **files.PROBES, **network.PROBES, **resources.PROBES}
#: Tried first: later ones leave traces of their own.
_FIRST = ("H5", "H11", "H2")


def main(argv: list[str]) -> None:
    if argv[0] == "leave":
        return neighbour.leave(argv[1])
    if argv[0] == "meet":
        return deeds.DEEDS[argv[1]]()
    given = from_text(argv[1])
    wanted = argv[2:] or [*_FIRST, *(number for number in PROBES if number not in _FIRST)]
    for number in wanted:
        try:
            found = PROBES[number](given)
        except Exception as exc:
            found = Seen(False, f"the probe failed: {exc!r}")
        print(json.dumps({"control": number, "holds": found.holds, "seen": found.seen}), flush=True)
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
