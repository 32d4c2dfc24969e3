"""
A container that somebody else has started gets the mounts of a sandbox, from outside, before its command begins.

A container engine mounts what it likes, and can't map owners. So a sandbox's own mounts are made here, as for any other,
and put into the container's mount namespace; what the engine put there and a build has no use for is taken away. Nothing
is mounted where another process could see it. Standard library only: the supervisor uses it.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from headrace import linux
from headrace.executor._mounts import STAGE, root_at

_ROOT = root_at(STAGE)
#: What the engine mounts and a sandbox keeps, with what is below.
_KEPT = ("/proc", "/dev")
#: Of these, what it doesn't.
_NOT_KEPT = ("/dev/mqueue", "/dev/shm")
_PLAIN = linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV
_FLAGS = {
    "/": _PLAIN | linux.MOUNT_ATTR_RDONLY,
    "/dev": linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NOEXEC,
}


def furnish(process: int, *, files: Mapping[str, str], masked: Sequence[str], shared: str) -> None:
    """
    Put what `make_root` has put together into the mount namespace of the container whose first process is that of the
    descriptor `process` of /proc, and `files`, by their place in the container. `shared` is how /dev/shm is mounted. Raises
    OSError.
    """
    points = [
        point for point in mount_points(Path("/proc/self/mountinfo").read_text()) if point.startswith(f"{_ROOT}/")
    ]
    tops = [point for point in points if not any(point.startswith(f"{other}/") for other in points)]
    mounts = {point.removeprefix(_ROOT): linux.clone_mount(point, recursive=True) for point in tops}
    for place, source in files.items():
        mounts[place] = linux.clone_mount(source)
        linux.change_mount(mounts[place], set_flags=_PLAIN | linux.MOUNT_ATTR_RDONLY)
    with open("mountinfo", opener=lambda name, flags: os.open(name, flags, dir_fd=process)) as there:
        unwanted = [point for point in mount_points(there.read()) if not _is_kept(point)]
    namespace = os.open("ns/mnt", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
    said, say = os.pipe()
    if (pid := os.fork()) == 0:
        _furnish_inside(namespace, unwanted, mounts, masked, shared, say)
    os.close(say)
    for descriptor in (namespace, *mounts.values()):
        os.close(descriptor)
    with os.fdopen(said, "rb") as stream:
        answer = stream.read().decode(errors="replace")
    os.waitpid(pid, 0)
    if answer != "done":
        raise OSError(answer or "nobody put the mounts into the container")


def mount_points(mountinfo: str) -> list[str]:
    """In the order in which they were mounted."""
    return [line.split(" ")[4].encode().decode("unicode_escape") for line in mountinfo.splitlines()]


def _is_kept(point: str) -> bool:
    return point == "/" or (
        any(point == kept or point.startswith(f"{kept}/") for kept in _KEPT) and point not in _NOT_KEPT
    )


def _furnish_inside(
    namespace: int, unwanted: Sequence[str], mounts: Mapping[str, int], masked: Sequence[str], shared: str, say: int
) -> NoReturn:
    """In a process of its own, because it can't come back."""
    try:
        linux.enter_namespace(namespace, linux.CLONE_NEWNS)
        linux.mount("none", "/", "none", linux.MS_REC | linux.MS_PRIVATE)
        for point in reversed(unwanted):
            with suppress(OSError):  # gone with one above it
                linux.unmount(point)
        for target, mount in mounts.items():
            linux.attach_mount(mount, target)
        for path in masked:
            _mask(path)
        with suppress(OSError):
            Path("/dev/mqueue").rmdir()
        linux.mount("shm", "/dev/shm", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC, shared)
        for path, flags in _FLAGS.items():
            linux.change_mount_at(path, flags)
        os.write(say, b"done")
    except BaseException as exc:
        os.write(say, str(exc).encode() or b"?")
    finally:
        os._exit(0)


def _mask(path: str) -> None:
    """Nothing is found there any more; what isn't there needs no mask."""
    try:
        about = os.lstat(path)
    except OSError:
        return
    if stat.S_ISDIR(about.st_mode) and any(Path(path).iterdir()):
        linux.mount("headrace", path, "tmpfs", linux.MS_RDONLY, "size=0,mode=555")
    elif stat.S_ISREG(about.st_mode):
        linux.attach_mount(linux.clone_mount("/dev/null"), path)
