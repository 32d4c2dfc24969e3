"""Whether a worker of this machine lives: it holds a lock on a file of its own."""

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path


@asynccontextmanager
async def alive(directory: Path, worker: str) -> AsyncIterator[None]:
    """Hold this worker's lock file: as long as it is locked, the worker lives."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{worker}.lock"
    # Locked before it has its name: whoever sees it must not find it free.
    making = directory / f".{worker}.new"
    descriptor = os.open(making, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        making.rename(path)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def seen(directory: Path) -> set[str]:
    """Workers of this machine that began and did not end in order: those that live, and those that died."""
    return {path.stem for path in directory.glob("[!.]*.lock")}


def is_dead(directory: Path, worker: str) -> bool:
    """Whether a worker of this machine has died: its lock file is there and nobody holds it, or it is gone."""
    try:
        descriptor = os.open(directory / f"{worker}.lock", os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        with suppress(FileNotFoundError):
            (directory / f"{worker}.lock").unlink()
        return True
    finally:
        os.close(descriptor)
