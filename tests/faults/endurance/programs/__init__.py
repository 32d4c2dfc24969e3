"""
Small real programs that are killed, or whose disk is, at any point; and what must hold afterwards.

    python -m endurance.programs.NAME DIRECTORY TIMES
    python -m endurance.programs.NAME DIRECTORY check < PROMISED

Each says on its standard output what it was promised, one line at a time: that list is outside of what dies. `check` reads
the directory as a successor would, makes whole what can be made whole, and raises AssertionError for what must not be;
`rebooted` when the machine's memory was lost, so that only what was flushed is there.
"""

import importlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from headrace.logs import configure_logs

NAMES = ("publish", "layers", "blobs", "events", "database")
_stops = False


def promise(text: str) -> None:
    os.write(1, text.encode() + b"\n")


def ready() -> None:
    """Said by a program whose system calls count from now on."""
    if _stops:
        os.kill(os.getpid(), signal.SIGSTOP)


def stop_when_ready() -> None:
    """From now on whoever counts them has to let it go on."""
    global _stops  # noqa: PLW0603 - it is of this process
    _stops = True


def begin(run: Callable[[Path, int], None], check: Callable[..., None]) -> None:
    configure_logs()  # on the error output: only promises are on the other
    if sys.argv[2] == "check":
        check(Path(sys.argv[1]), sys.stdin.read().splitlines(), rebooted=True)
    else:
        run(Path(sys.argv[1]), int(sys.argv[2]))


def run(program: str, directory: Path, times: int) -> None:
    importlib.import_module(f"endurance.programs.{program}").run(directory, times)


def check(program: str, directory: Path, promised: Sequence[str], *, rebooted: bool) -> None:
    importlib.import_module(f"endurance.programs.{program}").check(directory, promised, rebooted=rebooted)


def fresh(directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory
