"""The entry: finds the command, runs it, and turns every way out into an exit status."""

import sys
from typing import NoReturn

from headrace.cli.catalogue import overview


def main() -> NoReturn:
    """Run `headrace` with the arguments of this process."""
    arguments = sys.argv[1:]
    # Answered without importing a parser: this is the first thing that anybody runs.
    if arguments in ([], ["--help"], ["-h"], ["help"]):
        sys.stdout.write(overview())
        sys.exit(0 if arguments else 2)
    from headrace.cli.group import run

    sys.exit(run(arguments))
