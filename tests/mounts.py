"""What is mounted on this machine."""

from pathlib import Path


def mounts_with(place: Path | str) -> list[str]:
    """
    The mounts of this process that name `place`, as /proc/self/mountinfo has them. Of all mounts some come and go meanwhile:
    container engines of other tests make them where everybody sees them.
    """
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(place) in line]
