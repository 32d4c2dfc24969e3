"""How much a sandbox has written. Standard library only: the supervisor uses it."""

import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

#: Counting may cost at most this part of the time; and this part when there is reason to count.
_SHARE, _SHARE_WITH_REASON = 0.05, 0.25
_AT_LEAST_SECONDS = 0.5
#: How quickly files can grow: memory takes what disks write later. What is left of a limit decides when to look again.
_BYTES_A_SECOND, _FILES_A_SECOND = 2 * 2**30, 100_000
_SOONEST_SECONDS, _LATEST_SECONDS = 0.01, 0.25
#: What must stay free on the file system: services of this machine need to write, and so does who cleans up. On a small one a part
#: of it.
RESERVE_BYTES, RESERVE_FILES = 512 * 2**20, 5_000
_RESERVED_PART = 20
#: Whoever has written less than this is not why it is full, until half of the reserve is gone too.
_HARMLESS_BYTES, _HARMLESS_FILES = 64 * 2**20, 5_000


class Used(NamedTuple):
    bytes: int = 0
    files: int = 0


class DiskWatch:
    """
    Keeps what is written below some directories within limits, on every file system: no kind of quota is there on all of them.

    Counting 100,000 files takes 0.3 s, so it is done now and then, and when the file system has lost so much space since the last
    time that the limit may have been met. Asking for that takes microseconds, and is done the more often the less is left. What one
    file may grow to is limited by the kernel. `processes` are those of the sandbox, as directories of /proc: they may hold files that have no name any more.
    """

    def __init__(self, directories: Sequence[str], limit: Used, processes: Callable[[], Iterable[str]] = tuple) -> None:
        self._directories = directories
        self._limit = limit
        self._processes = processes
        self._used = Used()
        self._reserve = _reserve(directories)
        self._free = self._look()
        now = time.monotonic()
        self._next, self._soonest = now + _AT_LEAST_SECONDS, now

    def exceeded(self) -> str | None:
        """Which limit was met: `bytes`, `files`, or `machine` when hardly any space is left for anybody."""
        began, free = time.monotonic(), self._look()
        short = free.bytes < self._reserve.bytes or free.files < self._reserve.files
        if began < self._next and (began < self._soonest or not (short or self._may_have_met(free))):
            return None
        self._free = free
        self._used = _sum(used(d) for d in self._directories)
        self._used = _sum([self._used, nameless(self._processes(), self._directories)])
        took = time.monotonic() - began
        self._next = began + max(_AT_LEAST_SECONDS, took / _SHARE)
        self._soonest = began + took / _SHARE_WITH_REASON
        return self._met() or ("machine" if short and self._is_why(free) else None)

    def exceeded_at_end(self) -> str | None:
        """The same of a command that has failed by itself: who fills the last of a disk in a moment meets its end before a look."""
        self._next = self._soonest = 0.0
        return self.exceeded()

    def wait(self) -> float:
        """Seconds until it should look again."""
        grown = self._grown(self._look())
        bytes_left = self._limit.bytes - self._used.bytes - grown.bytes
        files_left = self._limit.files - self._used.files - grown.files
        soon = min(bytes_left / _BYTES_A_SECOND, files_left / _FILES_A_SECOND)
        return min(max(soon, _SOONEST_SECONDS), _LATEST_SECONDS)

    def _met(self) -> str | None:
        if self._used.bytes > self._limit.bytes:
            return "bytes"
        return "files" if self._used.files > self._limit.files else None

    def _is_why(self, free: Used) -> bool:
        if free.bytes < self._reserve.bytes // 2 or free.files < self._reserve.files // 2:
            return True
        return self._used.bytes > _HARMLESS_BYTES or self._used.files > _HARMLESS_FILES

    def _may_have_met(self, free: Used) -> bool:
        grown = self._grown(free)
        return self._used.bytes + grown.bytes > self._limit.bytes or self._used.files + grown.files > self._limit.files

    def _grown(self, free: Used) -> Used:
        """What the whole file system has lost since the last count: at most all of it is ours."""
        return Used(max(0, self._free.bytes - free.bytes), max(0, self._free.files - free.files))

    def _look(self) -> Used:
        """What is free."""
        for directory in self._directories:
            with suppress(OSError):
                about = os.statvfs(directory)
                free = about.f_bavail * about.f_frsize
                # btrfs makes room for files as they come, and says that there are none. It does not know yet of what is not
                # written.
                return Used(free, about.f_favail) if about.f_files else Used(free - _unwritten(), 2**62)
        return Used(2**62, 2**62)


def _reserve(directories: Sequence[str]) -> Used:
    for directory in directories:
        with suppress(OSError):
            about = os.statvfs(directory)
            size = about.f_blocks * about.f_frsize
            files = about.f_files or RESERVE_FILES * _RESERVED_PART
            return Used(min(RESERVE_BYTES, size // _RESERVED_PART), min(RESERVE_FILES, files // _RESERVED_PART))
    return Used()


def _unwritten() -> int:
    """Bytes that the kernel will write to some disk."""
    with suppress(OSError, ValueError), Path("/proc/meminfo").open(encoding="ascii") as said:
        fields = dict(line.split(":") for line in said)
        return sum(int(fields[name].split()[0]) * 1024 for name in ("Dirty", "Writeback"))
    return 0


def used(directory: str) -> Used:
    """What is on the disk below `directory`. What changes meanwhile may or may not be counted."""
    size, files = 0, 0
    linked: set[int] = set()
    waiting = [directory]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    about = entry.stat(follow_symlinks=False)
                    if about.st_nlink > 1 and stat.S_ISREG(about.st_mode):
                        # Package managers link what they have stored: it is there once.
                        if about.st_ino in linked:
                            continue
                        linked.add(about.st_ino)
                    files += 1
                    size += about.st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    return Used(size, files)


def nameless(processes: Iterable[str], directories: Sequence[str]) -> Used:
    """Files that processes hold open, and that no directory has a name for: on the disk, but nowhere to be found."""
    found: dict[tuple[int, int], int] = {}
    in_memory: dict[int, bool] = {}
    for process in processes:
        with suppress(OSError), os.scandir(f"{process}/fd") as entries:
            for entry in entries:
                with suppress(OSError):
                    about = entry.stat()
                    if about.st_nlink or not stat.S_ISREG(about.st_mode):
                        continue
                    if about.st_dev not in in_memory:
                        in_memory[about.st_dev] = not _is_on(about.st_dev, entry.path, directories)
                    if not in_memory[about.st_dev]:
                        found[about.st_dev, about.st_ino] = about.st_blocks * 512
    return Used(sum(found.values()), len(found))


def _is_on(device: int, path: str, directories: Sequence[str]) -> bool:
    """Whether a file counts: it lies on the file system of `directories`, or on one with the same space, as an overlay does."""
    theirs = os.statvfs(path)
    for directory in directories:
        with suppress(OSError):
            ours = os.statvfs(directory)
            if os.lstat(directory).st_dev == device or (ours.f_blocks, ours.f_files) == (
                theirs.f_blocks,
                theirs.f_files,
            ):
                return True
    return False


def _sum(parts: Iterable[Used]) -> Used:
    total = Used()
    for part in parts:
        total = Used(total.bytes + part.bytes, total.files + part.files)
    return total
