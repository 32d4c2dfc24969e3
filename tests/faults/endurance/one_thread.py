"""
Runs a program in one thread, so that it makes the same system calls in the same order every time:

    python -m endurance.one_thread endurance.programs.NAME ARGUMENTS…

What it would have handed to a thread is done at once, where it stands. Which call is the n-th then follows from n alone.
"""

import importlib
import runpy
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


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
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=False)


def _replace(module: str, **parts: object) -> None:
    for name, part in parts.items():
        setattr(importlib.import_module(module), name, part)


if __name__ == "__main__":
    main()
