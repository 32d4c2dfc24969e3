"""How much a sandbox has written. Standard library only: the supervisor uses it."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress

#: Looking may cost at most this part of the time.
_SHARE = 0.05
_AT_LEAST_SECONDS = 0.5


class DiskWatch:
    """
    Adds up the blocks below some directories now and then. A look at 100,000 files takes 0.3 s, so the more there is, the
    less often it looks; what one file may grow to is limited by the kernel.
    """

    def __init__(self, directories: Sequence[str], limit: int) -> None:
        self._directories = directories
        self._limit = limit
        self._next = time.monotonic() + _AT_LEAST_SECONDS

    def exceeded(self) -> bool:
        began = time.monotonic()
        if began < self._next:
            return False
        used = sum(used_bytes(directory) for directory in self._directories)
        took = time.monotonic() - began
        self._next = began + max(_AT_LEAST_SECONDS, took / _SHARE)
        return used > self._limit


def used_bytes(directory: str) -> int:
    """Bytes on the disk below `directory`. What changes meanwhile may or may not be counted."""
    total = 0
    waiting = [directory]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    return total
