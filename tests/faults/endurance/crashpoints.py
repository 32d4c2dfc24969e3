"""
A program is killed at its n-th system call of a kind, for n = 1, 2, 3, … until it survives; after each death what it left is
checked, and made whole by a successor. The method by which SQLite tests its own commits. The program runs in one thread, so that
the n-th call is the same one each time.
"""

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from endurance.programs import BEGIN, check, fresh

#: Calls that change what is on the disk, and those that there are many of.
FEW = ("rename", "link", "unlink", "symlink", "mkdir", "rmdir", "fsync", "fdatasync", "ftruncate")
MANY = ("openat", "write", "pwrite64")

_COUNTED = re.compile(r"^(?:\[pid\s+\d+\] |\d+ +)?(\w+)\(")


class Point(NamedTuple):
    program: str
    call: str
    #: Counted from the start of the process.
    number: int


def points(program: str, directory: Path, calls: Iterable[str] = (*FEW, *MANY)) -> list[Point]:
    """Every system call of these kinds that the program makes once it has begun."""
    wanted = tuple(calls)
    trace = directory / "trace"
    _run(program, fresh(directory / "counted"), ["-o", str(trace), "-e", f"trace={','.join(wanted)},/^f?access"])
    made, found, begun = dict.fromkeys(wanted, 0), list[Point](), False
    for line in trace.read_text(errors="replace").splitlines():
        begun = begun or BEGIN in line
        call = (_COUNTED.match(line) or [None, ""])[1]
        if call in made:
            made[call] += 1
            if begun:
                found.append(Point(program, call, made[call]))
    return found


def strike(point: Point, directory: Path) -> None:
    """Kill the program there, and check what it left. Raises AssertionError, also when it did not come there."""
    place = fresh(directory / "struck")
    inject = ["-e", f"trace={point.call}", "-e", f"inject={point.call}:signal=KILL:when={point.number}"]
    died, promised = _run(point.program, place, [*inject, "-o", "/dev/null"])
    assert died, f"{point} was not reached"
    try:
        check(point.program, place, promised, rebooted=False)
    except Exception as exc:
        raise AssertionError(f"{point}: {type(exc).__name__}: {exc}") from exc


def sample(every: list[Point], most: int, chance: random.Random) -> Iterator[Point]:
    """All points of the kinds that are few, and of the others at most so many."""
    for call in (*FEW, *MANY):
        of_kind = [point for point in every if point.call == call]
        yield from of_kind if len(of_kind) <= most else chance.sample(of_kind, most)


def _run(program: str, directory: Path, strace: list[str]) -> tuple[bool, list[str]]:
    """Whether it was killed, and what it promised."""
    ended = subprocess.run(
        [
            "strace",
            "-f",
            "-qq",
            *strace,
            sys.executable,
            "-m",
            "endurance.one_thread",
            f"endurance.programs.{program}",
            str(directory),
            "2",
        ],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    killed = ended.returncode in (-9, 137)
    assert killed or ended.returncode == 0, ended.stderr[-2000:]
    whole = ended.stdout[: ended.stdout.rfind("\n") + 1]
    return killed, whole.splitlines()
