"""
A file system that loses its power: an ext4 image on a loop device is shut down without flushing its journal, as the kernel does
for tests, while a program writes. What was not flushed is gone after it is mounted again.
"""

import fcntl
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from endurance.programs import fresh
from headrace import linux

#: EXT4_IOC_SHUTDOWN, and its flag for "no flush of the log".
_SHUTDOWN, _NO_FLUSH = 0x8004587D, 2
_MIB = 2**20


class Disk(NamedTuple):
    """What a file system is to be: `ext4` or `tmpfs`, its size, and how many files it may have."""

    kind: str = "ext4"
    mib: int = 192
    inodes: int | None = None


class Image:
    """A file system of its own, mounted at `path`."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self._disk = disk
        self._file = path.with_name(f"{path.name}.image")
        self.path.mkdir()
        if disk.kind == "ext4":
            with self._file.open("wb") as file:
                file.truncate(disk.mib * _MIB)
            options = [] if disk.inodes is None else ["-N", str(disk.inodes)]
            # No room for root alone: the server of a test is root.
            subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", *options, str(self._file)], check=True)
        self.mount()

    def mount(self) -> None:
        what, options = [str(self._file)], "loop"
        if self._disk.kind == "tmpfs":
            inodes = "" if self._disk.inodes is None else f",nr_inodes={self._disk.inodes}"
            what, options = ["-t", "tmpfs", "headrace-test"], f"size={self._disk.mib}m{inodes}"
        subprocess.run(["mount", "-o", options, *what, str(self.path)], check=True)

    def cut(self) -> None:
        """The power goes. Everything that is asked of the file system from now on fails."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_FLUSH))
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        end = time.monotonic() + 20
        while subprocess.run(["umount", str(self.path)], capture_output=True, check=False).returncode:
            if time.monotonic() > end:
                raise AssertionError(f"{self.path} is still in use")
            time.sleep(0.05)


def own_mounts() -> None:
    """
    What this process mounts from now on, nobody else sees. Without it a file system that was shut down stays as it is, although it
    is unmounted, as long as some sandbox on this machine has a copy of its mount.
    """
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", "none", linux.MS_REC | linux.MS_PRIVATE)


@contextmanager
def mounted(path: Path, disk: Disk | None) -> Iterator[Image | None]:
    """A new file system at `path`, as long as this is open; nothing without one."""
    if disk is None:
        yield None
        return
    made = Image(path, disk)
    try:
        yield made
    finally:
        made.unmount()


def cut_during(program: str, place: Path, seconds: float) -> int:
    """
    Cut the power `seconds` after the program's first promise, and check what is there after a restart; how much was promised.
    Raises AssertionError.
    """
    with mounted(fresh(place) / "disk", Disk()) as disk:
        assert disk
        process = _program(program, disk.path, "1000000", stdout=subprocess.PIPE)
        assert process.stdout
        said = process.stdout.readline()
        time.sleep(seconds)
        # The processors stop in the same moment. A flush that is under way in the moment of the cut may be answered as done, by a
        # journal that was dropped: nobody may hear of that.
        process.send_signal(signal.SIGSTOP)
        disk.cut()
        process.kill()
        said += process.stdout.read()
        process.wait()
        disk.unmount()
        disk.mount()
        # A line that was not finished was not said.
        promised = said[: said.rfind(b"\n") + 1]
        checked = _program(program, disk.path, "check", stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        _, wrong = checked.communicate(promised, timeout=120)
        if checked.returncode:
            raise AssertionError(f"{program}, {seconds:.3f} s: {wrong.decode()[-1500:]}")
        return promised.count(b"\n")


def _program(
    name: str,
    directory: Path,
    argument: str,
    *,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int = subprocess.DEVNULL,
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", f"endurance.programs.{name}", str(directory), argument],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
    )
