"""
The user namespace of a user who is not root. In it, a process of that user may mount and make networks, and has ids to
give to sandboxes.

Id 0 of the namespace is the user, so that what is written belongs to the user on the disk. The ids from 1 on are those that
`/etc/subuid` and `/etc/subgid` give away, if there are any and the programs that may hand them out are installed.
Standard library only: the supervisor uses it.
"""

import os
import pwd
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from headrace import linux

_PROGRAMS = ("newuidmap", "newgidmap")
_SEARCH = "/usr/local/bin:/usr/bin:/bin"
FILES = (Path("/etc/subuid"), Path("/etc/subgid"))


class GivenIds(NamedTuple):
    """Ids that a user may give away: `length` from `users` on, and as many groups. None for 0."""

    users: int = 0
    groups: int = 0
    length: int = 0


class Ground(NamedTuple):
    """What supervisors of containers stand on."""

    #: Where roots are put together. Everything there is seen by the supervisor and its container alone.
    stage: str
    #: None for root, who needs no namespace.
    given: GivenIds | None


def given_ids(files: tuple[Path, Path] = FILES) -> GivenIds:
    """What this user may give away on this machine."""
    if missing_programs():
        return GivenIds()
    users, groups = (_largest_range(file) for file in files)
    length = min(users[1], groups[1])
    return GivenIds(users[0], groups[0], length) if length else GivenIds()


def missing_programs() -> list[str]:
    """What may hand ids out and is not installed."""
    return [program for program in _PROGRAMS if shutil.which(program, path=_SEARCH) is None]


def _largest_range(file: Path) -> tuple[int, int]:
    """First id and length."""
    names = {str(os.getuid())}
    with suppress(KeyError):
        names.add(pwd.getpwuid(os.getuid()).pw_name)
    ranges = [(0, 0)]
    with suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            owner, _, rest = line.strip().partition(":")
            if owner in names:
                first, _, length = rest.partition(":")
                ranges.append((int(first), int(length)))
    return max(ranges, key=lambda found: found[1])


def enter_own_namespace(given: GivenIds) -> None:
    """The calling process, which has one thread, becomes root of a new user namespace, with mounts that nobody else sees."""
    user, group = os.getuid(), os.getgid()
    if not given.length:
        linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS)
        # Without given ids the kernel wants it promised that no group is left.
        Path("/proc/self/setgroups").write_text("deny")
        linux.write_mapping(os.getpid(), [linux.IdRange(0, user, 1)], [linux.IdRange(0, group, 1)])
        return
    made, say_made = os.pipe()
    why, say_why = os.pipe()
    process = os.getpid()
    # Whoever gives the ids must be outside of the namespace.
    giver = os.fork()
    if giver == 0:
        try:
            os.close(say_made)
            if os.read(made, 1):
                _give(
                    process, ("newuidmap", user, given.users), ("newgidmap", group, given.groups), given.length, say_why
                )
        finally:
            os._exit(0)
    os.close(made)
    os.close(say_why)
    try:
        linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS)
        os.write(say_made, b"+")
    finally:
        os.close(say_made)
        said = os.read(why, 1024).decode(errors="replace")
        os.close(why)
        with suppress(ChildProcessError):
            os.waitpid(giver, 0)
    if said:
        raise OSError(said)
    # Groups such as that of a container engine's socket are no business of what runs here.
    os.setgroups([])


def _give(process: int, users: tuple[str, int, int], groups: tuple[str, int, int], count: int, say_why: int) -> None:
    for program, own, first in (users, groups):
        path = shutil.which(program, path=_SEARCH) or program
        argv = [path, str(process), "0", str(own), "1", "1", str(first), str(count)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, errors="replace")
        if done.returncode:
            os.write(say_why, (done.stderr.strip() or f"{program} ended with {done.returncode}")[:1000].encode())
            return
