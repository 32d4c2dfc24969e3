"""
A program is killed at its n-th system call of a kind, for n = 1, 2, 3, … until it survives; after each death what it left is
checked, and made whole by a successor. The method by which SQLite tests its own commits. The program runs in one thread, so that
the n-th call is the same one each time.
"""

import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from endurance.programs import check, fresh

#: Calls that change what is on the disk, and those that there are many of.
FEW = ("rename", "link", "unlink", "symlink", "mkdir", "rmdir", "fsync", "fdatasync", "ftruncate")
MANY = ("openat", "write", "pwrite64")

_COUNTED = re.compile(r"(\w+)\(")


class Point(NamedTuple):
    call: str
    #: Counted from where the program says that it is ready.
    number: int


class Program:
    """One of `endurance.programs`, to be run again and again below a directory of its own, as long as this is open."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self._directory = directory
        self._promises = directory / "promises"

    def __enter__(self) -> Self:
        warm = fresh(self._directory / "warm")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "endurance.one_thread", self.name, str(warm), "2"],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._said() == "ready"
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def points(self, calls: Iterable[str] = (*FEW, *MANY)) -> list[Point]:
        """Every system call of these kinds that it makes once it is ready."""
        trace = self._directory / "trace"
        self._run(fresh(self._directory / "counted"), ["-o", str(trace), "-e", f"trace={','.join(calls)}"])
        made, found = dict.fromkeys(calls, 0), list[Point]()
        for line in trace.read_text(errors="replace").splitlines():
            call = (_COUNTED.match(line) or [None, ""])[1]
            if call in made:
                made[call] += 1
                found.append(Point(call, made[call]))
        return found

    def strike(self, point: Point) -> bool:
        """
        Kill it there, and check what it left; false when it ended before it came there, as it may at its last calls: the
        database makes a few more or less from run to run. Raises AssertionError.
        """
        place = fresh(self._directory / "struck")
        inject = ["-e", f"trace={point.call}", "-e", f"inject={point.call}:signal=KILL:when={point.number}"]
        died = self._run(place, [*inject, "-o", "/dev/null"])
        said = self._promises.read_text()
        try:
            # A line that was not finished was not said.
            check(self.name, place, said[: said.rfind("\n") + 1].splitlines(), rebooted=False)
        except Exception as exc:
            raise AssertionError(f"{self.name}, {point}: {type(exc).__name__}: {exc}") from exc
        return died

    def _run(self, place: Path, strace: list[str]) -> bool:
        """Whether it was killed."""
        assert self._process.stdin
        print(place, self._promises, file=self._process.stdin, flush=True)
        pid = int(self._said())
        with subprocess.Popen(["strace", "-p", str(pid), *strace], stderr=subprocess.PIPE, text=True) as tracer:
            assert tracer.stderr
            attached = tracer.stderr.readline()
            os.kill(pid, signal.SIGCONT if "attached" in attached else signal.SIGKILL)
            assert "attached" in attached, attached
            status = os.waitstatus_to_exitcode(int(self._said()))
        assert status in (0, -signal.SIGKILL), f"{self.name} ended with {status}"
        return status != 0

    def _said(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


def sample(every: list[Point], most: int, chance: random.Random) -> Iterator[Point]:
    """All points of the kinds that are few, and of the others at most so many."""
    for call in (*FEW, *MANY):
        of_kind = [point for point in every if point.call == call]
        yield from of_kind if len(of_kind) <= most else chance.sample(of_kind, most)
