"""Versions of package managers: which are used when a range is asked for, and what they need of Node."""

import re
from typing import Literal

from headrace.plan.ranges import BadRange, Version, parse_version, satisfies

ManagerName = Literal["npm", "pnpm", "yarn", "bun"]

#: The last release of each major, the newest first. All are in the npm registry; a plan never asks it.
VERSIONS: dict[ManagerName, tuple[str, ...]] = {
    "npm": ("12.2.0", "11.21.2", "10.9.9", "9.9.4", "8.19.4", "7.24.2", "6.14.18"),
    "pnpm": ("12.21.0", "11.28.11", "10.34.9", "9.15.9", "8.15.9", "7.33.7", "6.35.1", "5.18.11"),
    "yarn": ("4.18.1", "3.8.7", "2.4.2", "1.22.22"),
    "bun": ("1.4.5", "1.3.14", "1.2.23", "1.1.45"),
}

#: Manager -> (first major, the oldest Node that runs it), the newest first. bun and pnpm 12 are programs of their own.
_NODE_NEEDED: dict[ManagerName, tuple[tuple[int, int], ...]] = {
    "npm": ((12, 22), (11, 20), (10, 18)),
    "pnpm": ((12, 16), (11, 22), (9, 18)),
    "yarn": ((4, 18),),
    "bun": (),
}


def node_needed(manager: ManagerName, version: str) -> int:
    """The oldest major of Node that runs this version; 0 for any."""
    major = major_of(version)
    return next((node for first, node in _NODE_NEEDED[manager] if major >= first), 0)


def runs_on(manager: ManagerName, version: str, node_major: int) -> bool:
    return node_major >= node_needed(manager, version)


def major_of(version: str) -> int:
    return int(version.removeprefix("v").partition(".")[0])


def for_range(manager: ManagerName, wish: str, node_major: int, preferred: str | None = None) -> str | None:
    """
    The version for a range: `preferred` if it fits, else the newest of the table that fits and runs on this Node, else the
    version that the range itself names (`~4.5.0` is 4.5.0). The same wish is always answered alike. None when nothing fits.
    """
    try:
        known = [version for version in VERSIONS[manager] if satisfies(_parsed(version), wish)]
        named = [".".join(map(str, version)) for version in _named(wish) if satisfies(version, wish)]
    except BadRange:
        return None
    fitting = [version for version in (*known, *named) if runs_on(manager, version, node_major)]
    if preferred in fitting:
        return preferred
    return fitting[0] if fitting else None


def _named(wish: str) -> list[Version]:
    """Versions that a range spells out with at least a minor, the highest first."""
    found = re.findall(r"(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?", wish)
    return sorted({(int(major), int(minor), int(patch or 0)) for major, minor, patch in found}, reverse=True)


def _parsed(version: str) -> Version:
    parsed = parse_version(version)
    assert parsed is not None  # noqa: S101 - the table holds whole versions
    return parsed
