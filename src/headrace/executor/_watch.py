"""
What a container's processes use, seen through the container's own /proc: for machines on which this user has no control
groups. Standard library only: the supervisor uses it.

Memory counts when it is private to a process or shared without a file, and when it holds files of /tmp and /dev/shm. What
nobody has mapped (a file without a name, bytes on their way through a pipe) is not seen.
"""

import os
from contextlib import suppress
from typing import NamedTuple

_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Places in /proc/<pid>/stat after the program's name.
_THREADS, _RESIDENT = 17, 21
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
#: File systems in memory that a command may write to.
_IN_MEMORY = ("root/tmp", "root/dev/shm")


class Seen(NamedTuple):
    #: Those that have not ended.
    processes: int
    #: What counts as a process for limits: threads, and who has ended and is not yet waited for.
    tasks: int
    #: At least what is used.
    memory_bytes: int


class Watch:
    """`process` is the directory in /proc of the container's first process."""

    def __init__(self, process: int) -> None:
        self._proc = os.open("root/proc", _DIRECTORY, dir_fd=process)
        self._file_systems = [os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=process) for name in _IN_MEMORY]

    def look(self) -> Seen:
        """Quickly: pages that several processes share are counted several times."""
        processes = tasks = pages = 0
        for pid in self._pids():
            # The name of the program is in parentheses, and holds what it likes.
            words = self._read(f"{pid}/stat").rpartition(b")")[2].split()
            if len(words) > _RESIDENT:
                processes += words[0] != b"Z"
                tasks += int(words[_THREADS])
                pages += int(words[_RESIDENT])
        return Seen(processes, tasks, pages * _PAGE + self._files())

    def memory(self) -> int:
        """Exactly: milliseconds for each gigabyte."""
        return sum(self._private(pid) for pid in self._pids()) + self._files()

    def processes(self) -> list[str]:
        """As directories of the container's /proc."""
        return [f"/proc/self/fd/{self._proc}/{pid}" for pid in self._pids()]

    def close(self) -> None:
        """They keep the container's mounts."""
        for descriptor in (self._proc, *self._file_systems):
            os.close(descriptor)
        self._proc, self._file_systems = -1, []

    def _pids(self) -> list[str]:
        with suppress(OSError), os.scandir(self._proc) as entries:
            return [entry.name for entry in entries if entry.name.isdigit()]
        return []

    def _private(self, pid: str) -> int:
        total = 0
        for line in self._read(f"{pid}/smaps_rollup").splitlines():
            if line.startswith((b"Pss_Anon:", b"Pss_Shmem:")):
                total += int(line.split()[1]) * 1024
        return total

    def _files(self) -> int:
        total = 0
        for descriptor in self._file_systems:
            about = os.fstatvfs(descriptor)
            total += (about.f_blocks - about.f_bfree) * about.f_frsize
        return total

    def _read(self, path: str) -> bytes:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        except OSError:
            return b""
        try:
            return os.read(descriptor, 8192)
        except OSError:  # it ended
            return b""
        finally:
            os.close(descriptor)
