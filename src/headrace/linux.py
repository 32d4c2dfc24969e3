"""
System calls of Linux that Python has no function for: mounts without paths, idmapped mounts, namespaces, prctl.

Standard library only: a supervisor imports this without the rest of Headrace. Every function raises OSError.
"""

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

_NOWHERE = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.EXDEV,
        errno.EACCES,
        errno.EPERM,
        errno.ENXIO,
        errno.ENODEV,
        errno.ENAMETOOLONG,
        errno.EINVAL,
    }
)

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MNT_DETACH = 0x2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
_MOUNT_ATTR_IDMAP = 0x00100000

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 0x1
_OPEN_TREE_CLOEXEC = os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 0x4
_FSOPEN_CLOEXEC = 0x1
_FSMOUNT_CLOEXEC = 0x1
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6

# These numbers are the same on every architecture: they were added after the tables were unified.
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_FSOPEN = 430
_SYS_FSCONFIG = 431
_SYS_FSMOUNT = 432
_SYS_OPENAT2 = 437
_SYS_MOUNT_SETATTR = 442

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1

RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08

_libc = ctypes.CDLL(None, use_errno=True)


class IdRange(NamedTuple):
    """`length` ids from `inside` on are the ids from `outside` on. For an idmapped mount, `inside` is what the disk says."""

    inside: int
    outside: int
    length: int


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _syscall(number: int, *arguments: object) -> int:
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *converted)
    return result


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    data = options.encode() if options else None
    _check(_libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data), target)


def unmount(target: str, flags: int = MNT_DETACH) -> None:
    _check(_libc.umount2(target.encode(), flags), target)


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def enter_namespace(descriptor: int, kind: int) -> None:
    _check(_libc.setns(descriptor, kind), "setns")


def clone_mount(path: str, *, recursive: bool = False) -> int:
    """A descriptor of a detached copy of the mount at `path`. It is gone when the descriptor is closed."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    return _check(_syscall(_SYS_OPEN_TREE, _AT_FDCWD, os.fsencode(path), flags), path)


def change_mount(descriptor: int, *, set_flags: int = 0, user_namespace: int | None = None) -> None:
    """Set flags of a detached mount, and map its owners as `user_namespace` (see `user_namespace_with`) does."""
    if user_namespace is not None:
        set_flags |= _MOUNT_ATTR_IDMAP
    attributes = struct.pack("=QQQQ", set_flags, 0, 0, 0 if user_namespace is None else user_namespace)
    result = _syscall(_SYS_MOUNT_SETATTR, descriptor, b"", _AT_EMPTY_PATH, attributes, len(attributes))
    _check(result, "mount_setattr")


def make_all_read_only() -> None:
    """Every mount of this mount namespace, which must be the caller's own."""
    root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        attributes = struct.pack("=QQQQ", MOUNT_ATTR_RDONLY, 0, 0, 0)
        flags = _AT_EMPTY_PATH | _AT_RECURSIVE
        _check(_syscall(_SYS_MOUNT_SETATTR, root, b"", flags, attributes, len(attributes)), "mount_setattr")
    finally:
        os.close(root)


def change_mount_at(path: str, set_flags: int) -> None:
    """Set flags of the mount at `path`, where this process sees it."""
    attributes = struct.pack("=QQQQ", set_flags, 0, 0, 0)
    result = _syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), 0, attributes, len(attributes))
    _check(result, path)


def attach_mount(descriptor: int, target: str) -> None:
    """Put a detached mount at `target`."""
    result = _syscall(
        _SYS_MOVE_MOUNT, descriptor, b"", _AT_FDCWD, os.fsencode(target), ctypes.c_long(_MOVE_MOUNT_F_EMPTY_PATH)
    )
    _check(result, target)


def new_mount(kind: str, options: Sequence[tuple[str, str | None]], attributes: int = 0) -> int:
    """
    A descriptor (as with O_PATH) of a new file system that is mounted nowhere: no one else sees it, and it can't be left
    behind.
    """
    context = _check(_syscall(_SYS_FSOPEN, kind.encode(), _FSOPEN_CLOEXEC), kind)
    try:
        for key, value in options:
            command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
            argument = None if value is None else os.fsencode(value)
            _check(_syscall(_SYS_FSCONFIG, context, command, key.encode(), argument, 0), f"{kind} {key}")
        _check(_syscall(_SYS_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0), kind)
        return _check(_syscall(_SYS_FSMOUNT, context, _FSMOUNT_CLOEXEC, attributes), kind)
    finally:
        os.close(context)


def leads_nowhere(exc: OSError) -> bool:
    """
    Whether a path could not be opened because of what is there, which is a stranger's choice: nothing, a link, something closed to
    us. Everything else is this machine's: a disk that fails, descriptors or memory that others have.
    """
    return exc.errno in _NOWHERE


def open_beneath(directory: int, path: str, flags: int, *, resolve: int = RESOLVE_BENEATH) -> int:
    """Open `path` below `directory`; the kernel refuses whatever would leave it. What this makes has mode 0."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, 0, resolve | RESOLVE_NO_MAGICLINKS)
    return _check(_syscall(_SYS_OPENAT2, directory, os.fsencode(path), how, len(how)), path)


def socket_in_network(namespace: int) -> socket.socket:
    """
    A TCP socket of another network namespace. The calling thread goes there for it and comes back; where it can't come back,
    the process ends, because it would speak for somebody else from then on.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            enter_namespace(namespace, CLONE_NEWNET)
            return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        finally:
            try:
                enter_namespace(home, CLONE_NEWNET)
            except BaseException:
                os.abort()
    finally:
        os.close(home)


@contextmanager
def file_rights_of(user: int, group: int) -> Iterator[None]:
    """
    What the calling thread does with files meanwhile is done as if by this user: what it makes is theirs, and it may do
    what they may. A change that can't be taken back ends the process.
    """
    ours = os.geteuid(), os.getegid()
    try:
        # The group first: the user may be one that may not change it.
        _set_file_ids(user, group)
        yield
    finally:
        try:
            _set_file_ids(*ours)
        except BaseException:
            os.abort()


def _set_file_ids(user: int, group: int) -> None:
    # Both return what was, never an error: asking with an id that can't be is how to find out.
    _libc.setfsgid(ctypes.c_uint(group))
    _libc.setfsuid(ctypes.c_uint(user))
    nobody = ctypes.c_uint(0xFFFFFFFF)
    # Ids are unsigned, whatever C says of these two.
    if (_libc.setfsgid(nobody) & 0xFFFFFFFF, _libc.setfsuid(nobody) & 0xFFFFFFFF) != (group, user):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), "setfsuid")


class NewUserNamespace:
    """
    A user namespace without ids, held by a process that does nothing else. It gets its ids once, when they are known: making
    it takes milliseconds, giving it ids takes none.
    """

    def __init__(self) -> None:
        made, say_made = os.pipe()
        leave, self._leave = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.close(self._leave)
                unshare(CLONE_NEWUSER)
                os.write(say_made, b"+")
                os.read(leave, 1)
            finally:
                os._exit(0)
        os.close(say_made)
        os.close(leave)
        answer = os.read(made, 1)
        os.close(made)
        if not answer:
            self.close()
            raise OSError("no user namespace could be made")

    def with_ids(self, users: Sequence[IdRange], groups: Sequence[IdRange]) -> int:
        """A descriptor of the namespace. Nobody is in it once this object is closed."""
        write_mapping(self._pid, users, groups)
        return os.open(f"/proc/{self._pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self._leave)
        os.waitpid(self._pid, 0)


def user_namespace_with(users: Sequence[IdRange], groups: Sequence[IdRange]) -> int:
    """A descriptor of a new user namespace with these ids. Nobody is in it."""
    namespace = NewUserNamespace()
    try:
        return namespace.with_ids(users, groups)
    finally:
        namespace.close()


def write_mapping(pid: int, users: Sequence[IdRange], groups: Sequence[IdRange]) -> None:
    """Give the new user namespace of `pid` its ids. Needs rights over all of them."""
    for name, ranges in (("uid_map", users), ("gid_map", groups)):
        lines = "".join(f"{r.inside} {r.outside} {r.length}\n" for r in ranges)
        descriptor = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, lines.encode())
        finally:
            os.close(descriptor)


def die_with_parent(signal: int) -> None:
    """Send this process `signal` when its parent ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0), "prctl")


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that they can be waited for."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def loopback_up() -> None:
    """Switch `lo` of this network namespace on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))


def kernel_version() -> tuple[int, int]:
    major, minor, *_ = os.uname().release.replace("-", ".").split(".")
    return int(major), int(minor)


@cache
def this_boot() -> str:
    """Changes when the machine starts. What was written before is in the page cache until then."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
