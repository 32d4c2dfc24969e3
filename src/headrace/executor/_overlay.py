"""Directories over each other, as an overlay that is mounted nowhere. Standard library only: the spawner uses it."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from headrace import linux
from headrace.disk import remove_tree


class Writable(NamedTuple):
    """Where an overlay keeps what is written to it, and its own work."""

    upper: str
    work: str


def make_anew(work: Path) -> None:
    """The work directory of an overlay: one that was used before is refused, when that overlay was `volatile`."""
    remove_tree(work)
    work.mkdir()


def merged_directory(lower: Sequence[str], writable: Writable | None = None, *, own_notes: bool = False) -> int:
    """
    A descriptor of a directory that shows `lower`, the topmost first. `own_notes`: the overlay keeps its notes on the disk as an
    ordinary user may.
    """
    with ExitStack() as opened:

        def by_descriptor(path: str) -> str:
            # A path may be too long for an option, or hold a character that separates layers.
            descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            opened.callback(os.close, descriptor)
            return f"/proc/self/fd/{descriptor}"

        options: list[tuple[str, str | None]] = [("lowerdir", ":".join(map(by_descriptor, lower)))]
        attributes = linux.MOUNT_ATTR_RDONLY
        if writable:
            options += [("upperdir", by_descriptor(writable.upper)), ("workdir", by_descriptor(writable.work))]
            attributes = linux.MOUNT_ATTR_NODEV | linux.MOUNT_ATTR_NOSUID
        if own_notes:
            options.append(("userxattr", None))
        merged = linux.new_mount("overlay", options, attributes)
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=merged)
    finally:
        os.close(merged)
