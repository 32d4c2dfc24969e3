"""
Run a command as an ordinary user, in mounts of its own in which this checkout and its Python can be reached by everybody:

    python as_user.py [--hide FILE] USER COMMAND…

Started by root. Root's own directories are often closed to others, and nothing of the machine must be changed for a test.
"""

import os
import pwd
import sys
from pathlib import Path

from headrace import linux

_CHECKOUT = Path(__file__).parents[2]


def closed_ancestor(path: Path) -> Path | None:
    """The topmost directory on the way to `path` that others can't pass."""
    return next((parent for parent in reversed(path.parents) if not parent.stat().st_mode & 0o001), None)


def open_to_all(paths: list[Path]) -> None:
    """Cover closed directories with ones that hold nothing but the way to `paths`."""
    found = [(path, closed_ancestor(path), linux.clone_mount(str(path))) for path in paths]
    for closed in {closed for _, closed, _ in found if closed is not None}:
        linux.mount("open", str(closed), "tmpfs", 0, "mode=755")
    for path, covered, mount in found:
        if covered is not None:
            path.mkdir(parents=True, exist_ok=True)
            linux.attach_mount(mount, str(path))


def main(arguments: list[str]) -> None:
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", "none", linux.MS_REC | linux.MS_PRIVATE)
    while arguments[0] == "--hide":
        linux.mount("/dev/null", arguments[1], "none", linux.MS_BIND)
        arguments = arguments[2:]
    open_to_all([_CHECKOUT, Path(sys.base_prefix)])
    about = pwd.getpwnam(arguments[0])
    os.setgroups([])
    os.setresgid(about.pw_gid, about.pw_gid, about.pw_gid)
    os.setresuid(about.pw_uid, about.pw_uid, about.pw_uid)
    os.environ |= {"HOME": about.pw_dir, "USER": about.pw_name, "LOGNAME": about.pw_name}
    os.execvp(arguments[1], arguments[1:])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
