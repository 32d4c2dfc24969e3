"""
What a limit ends: whoever does one of these is stopped, or its output cut, and the one who watches says how.

Should nobody stop it, each ends by itself before it harms the machine.
"""

import os
import sys
import time
from pathlib import Path

_PIECE = b"\0" * 2**20
_MOST_BYTES = 2**30
_MOST_FILES = 300_000


def eat_memory() -> None:
    """Also with the machine's swap, if there is any: what is written to is counted."""
    eaten: list[bytes] = []
    while len(eaten) * 4 * 2**20 < _MOST_BYTES:
        eaten.append(os.urandom(4096) * 1024)


def fill_disk() -> None:
    """Small files in many directories."""
    for number in range(_MOST_BYTES // len(_PIECE)):
        path = Path(f"fill-{number // 16}")
        path.mkdir(exist_ok=True)
        (path / str(number)).write_bytes(_PIECE)


def hide_on_disk() -> None:
    """Files that have no name any more, and so are seen by nobody who walks through directories."""
    held = []
    path = Path("hidden")
    for _ in range(_MOST_BYTES // len(_PIECE) // 4):
        held.append(path.open("wb", buffering=0))
        path.unlink()
        for _ in range(4):
            held[-1].write(_PIECE)


def make_files() -> None:
    """Empty ones, which cost no bytes."""
    for number in range(_MOST_FILES):
        path = Path(f"many-{number // 10_000}")
        path.mkdir(exist_ok=True)
        os.close(os.open(path / str(number), os.O_CREAT | os.O_WRONLY))


def flood() -> None:
    for _ in range(64):
        sys.stdout.write("flood " * 10_000 + "\n")


def wait() -> None:
    time.sleep(1000)


DEEDS = {
    "eat_memory": eat_memory,
    "fill_disk": fill_disk,
    "hide_on_disk": hide_on_disk,
    "make_files": make_files,
    "flood": flood,
    "wait": wait,
}
