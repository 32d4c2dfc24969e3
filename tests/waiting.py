"""Waiting for what will happen, for however long a slow machine takes: a number of seconds is a guard against hanging."""

import asyncio
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], seconds: float = 30, what: str = "it") -> None:
    """Blocks. Raises AssertionError when it does not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.01)


async def until(condition: Callable[[], object], seconds: float = 30, what: str = "it") -> None:
    """Like `wait_until`, while other tasks go on."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds:g} s")
        await asyncio.sleep(0.005)
