"""Which disk a directory is on, as control groups name it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class BlockDevice(NamedTuple):
    major: int
    minor: int

    def path(self) -> str:
        """How the kernel calls it."""
        return f"/dev/{Path('/sys/dev/block', f'{self.major}:{self.minor}').resolve().name}"


def block_device_of(directory: Path, root: Path = Path("/")) -> BlockDevice | None:
    """
    The device whose traffic can be limited: the whole disk of a partition. None where there is none, as for files in memory or
    on the network. `root` is where /proc and /sys are.
    """
    about = directory.stat().st_dev
    name = f"{os.major(about)}:{os.minor(about)}"
    # btrfs has numbers of its own; the mount says what is below.
    found = root / "sys/dev/block" / name
    if not found.exists():
        source = _mounted_from(name, root)
        if source is None:
            return None
        found = root / "sys/class/block" / Path(os.path.realpath(source)).name
    with suppress(OSError, ValueError):
        place = found.resolve(strict=True)
        if (place / "partition").exists():
            place = place.parent
        major, minor = map(int, (place / "dev").read_text().split(":"))
        return BlockDevice(major, minor)
    return None


def _mounted_from(device: str, root: Path) -> str | None:
    for line in (root / "proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if before.split(" ")[2] == device and after.split(" ")[1].startswith("/dev/"):
            return after.split(" ")[1]
    return None
