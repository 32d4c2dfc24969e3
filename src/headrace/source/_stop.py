"""
Blocking work in a thread that can be ended from outside, by a time limit or by cancellation, and is waited for.

Fetching is files and processes; in a thread it reads from top to bottom, and one place knows how to end it.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from headrace.source._failures import timed_out

T = TypeVar("T")


class Stopped(Exception):
    """The work was asked to end. `run_in_thread` turns it into what the caller should see."""


class Stop:
    """Asked by the work between its steps; told by the outside once. Kills the process that the work waits for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._kill: Callable[[], None] | None = None

    def check(self) -> None:
        if self._asked:
            raise Stopped

    def ask(self) -> None:
        with self._lock:
            self._asked = True
            if self._kill:
                self._kill()

    @contextmanager
    def killing(self, kill: Callable[[], None]) -> Iterator[None]:
        """While this is open, `ask` calls `kill`; at once if it was asked before."""
        with self._lock:
            self._kill = kill
            if self._asked:
                kill()
        try:
            yield
        finally:
            with self._lock:
                self._kill = None


async def run_in_thread(work: Callable[[Stop], T], *, seconds: float) -> T:
    """
    What `work` returns. Raises StepFailed (`source_timeout`) when it takes longer than `seconds`. However this ends, the work has
    ended before.
    """
    loop = asyncio.get_running_loop()
    stop = Stop()
    ended: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work(stop)
        except BaseException as exc:
            loop.call_soon_threadsafe(_fail, ended, exc)
        else:
            loop.call_soon_threadsafe(_settle, ended, result)

    # A thread of its own: a host that never answers must not hold one of the few that everybody shares.
    thread = threading.Thread(target=run, name="source", daemon=True)
    if seconds <= 0:
        stop.ask()
    thread.start()
    timer = loop.call_later(seconds, stop.ask)
    try:
        return await asyncio.shield(ended)
    except Stopped:
        raise timed_out(seconds) from None
    except asyncio.CancelledError:
        stop.ask()
        await _wait(ended)
        raise
    finally:
        timer.cancel()
        # It has handed over its result, so this is the moment in which it ends.
        thread.join()


async def _wait(ended: "asyncio.Future[T]") -> None:
    # A second cancellation does not shorten the wait: the work still holds files and processes.
    while not ended.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({ended})
    ended.exception()


def _settle(future: "asyncio.Future[T]", result: T) -> None:
    future.set_result(result)


def _fail(future: "asyncio.Future[T]", exc: BaseException) -> None:
    future.set_exception(exc)
