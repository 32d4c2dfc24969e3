"""
Space that is kept back on the disk of the data directory, so that the ends of builds can still be written when it is full.

Whoever fills a disk leaves nothing for others. A file of some MiB and some empty ones (for a disk without inodes) are deleted
when little is left, and made again when there is much.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from headrace.disk import remove_tree
from headrace.errors import StoreFull

_MOST_BYTES = 16 * 2**20
_FILES = 32


class Room(NamedTuple):
    bytes: int
    files: int


class Reserve:
    """Several processes may have one in the same directory: it is there or it is not."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._directory = data_dir / "reserve"
        # Of a small disk not much can be kept back.
        status = os.statvfs(data_dir)
        self._bytes = min(_MOST_BYTES, status.f_blocks * status.f_frsize // 32)

    def hold(self) -> None:
        """Keep space back, if there is much."""
        room = self._room()
        if self._directory.is_dir() or room.bytes < 4 * self._bytes or room.files < 4 * _FILES:
            return
        aside = self._directory.with_name(f".reserve-{os.getpid()}")
        try:
            aside.mkdir()
            for number in range(_FILES):
                (aside / str(number)).touch()
            with (aside / "space").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._bytes)
            aside.rename(self._directory)
        except OSError:  # somebody else was faster with the disk, or with the reserve
            remove_tree(aside)

    def use(self) -> None:
        """Before something must be written: give the space back to the disk, if little is left."""
        room = self._room()
        if room.bytes < self._bytes // 2 or room.files < _FILES // 2:
            with suppress(OSError):
                remove_tree(self._directory)

    def check(self) -> None:
        """Raise StoreFull when nothing new should begin: what is left is for what has begun."""
        room = self._room()
        if room.bytes < self._bytes or room.files < _FILES:
            what = "space" if room.bytes < self._bytes else "inodes"
            raise StoreFull(
                f"the disk of {self._data_dir} has too little {what} left to begin a build",
                hint="free some, or run `headrace cache prune`",
            )

    def _room(self) -> Room:
        status = os.statvfs(self._data_dir)
        # A file system without a table of inodes says that it has none.
        return Room(status.f_bavail * status.f_frsize, status.f_favail if status.f_files else 2**31)
