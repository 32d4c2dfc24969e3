"""
Runs a program in one thread, so that it makes the same system calls in the same order every time, again and again:

    python -m endurance.one_thread NAME WARM TIMES

For each line on its input, a directory and a file, a child runs the program of that name in the directory, and what it promises
goes into the file. The child stops when it is ready, and its process id is said; once it has ended, its status is. What it would
have handed to a thread is done at once, where it stands. Which call is the n-th then follows from n alone. The directory WARM is
for a run before all others, by this process itself: what Python loads at the first use is loaded then.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from endurance import programs
from headrace.logs import configure_logs


class AtOnce(Executor):
    """A pool whose work is done when `submit` returns."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def submit(self, fn: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        done = Future[Any]()
        try:
            done.set_result(fn(*args, **options))
        except BaseException as exc:
            done.set_exception(exc)
        return done


class Started:
    """A thread that has ended when `start` returns."""

    def __init__(self, *_: object, target: Callable[..., Any], args: tuple[Any, ...] = (), **__: object) -> None:
        self._run: Callable[[], Any] = lambda: target(*args)

    def start(self) -> None:
        self._run()

    def join(self, timeout: float | None = None) -> None:
        pass


class Connections(Started):
    """The thread of a database connection: its queue does the work."""

    def start(self) -> None:
        pass


class Answered:
    """The queue of a database connection: what is put in is answered at once."""

    def put_nowait(self, item: tuple[Any, Callable[[], Any]]) -> None:
        future, work = item
        try:
            answer = work()
        except BaseException as exc:
            if future is None:
                raise
            future.set_exception(exc)
        else:
            if future is not None:
                future.set_result(answer)


def main() -> None:
    _replace("concurrent.futures", ThreadPoolExecutor=AtOnce)
    _replace("aiosqlite.core", SimpleQueue=Answered, Thread=Connections)
    _replace("threading", Thread=Started)
    # Nothing is written later than it could be: when "later" is depends on the machine.
    _replace("headrace.pipeline.context", WRITE_WITHIN_SECONDS=0)
    name, warm, times = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    configure_logs()
    said = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    programs.run(name, warm, times)
    programs.stop_when_ready()
    os.write(said, b"ready\n")
    for line in sys.stdin:
        directory, promises = line.split()
        if (pid := os.fork()) == 0:
            _become(name, Path(directory), times, promises)
        os.waitpid(pid, os.WUNTRACED)
        os.write(said, b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        os.write(said, b"%d\n" % status)


def _become(name: str, directory: Path, times: int, promises: str) -> None:
    status = 1
    try:
        os.dup2(os.open(promises, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 1)
        programs.run(name, directory, times)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _replace(module: str, **parts: object) -> None:
    for name, part in parts.items():
        setattr(importlib.import_module(module), name, part)


if __name__ == "__main__":
    main()
