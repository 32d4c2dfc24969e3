"""
Files that survive crashes, and directories that go away completely.

Standard library and `errors` only.
"""

import ctypes
import errno
import fcntl
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from headrace.errors import InvalidInput, StoreFull, Unavailable

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_BROKEN = {errno.EIO, errno.EROFS}
_BLOCK = 4096
#: Levels of directories that are walked down before the rest is moved up; bounds open descriptors and recursion.
_DEEP = 64
_SYNC_FILE_RANGE_WRITE = 2
# Flags of a file on ext4 and its kin: linux/fs.h.
_FS_IOC_GETFLAGS = 0x80086601
_FS_IOC_SETFLAGS = 0x40086602
_FS_TOPDIR_FL = 0x00020000

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def storage_errors() -> Iterator[None]:
    """A full or a failing disk as an error with a code. Every other OSError passes."""
    try:
        yield
    except OSError as exc:
        where = f" ({exc.filename})" if exc.filename else ""
        if exc.errno in _NO_SPACE:
            raise StoreFull(
                f"no space left{where}", hint="free space or inodes there, or run `headrace cache prune`"
            ) from exc
        if exc.errno in _BROKEN:
            raise Unavailable(
                f"the disk does not take writes{where}: {exc.strerror}",
                code="storage.error",
                hint="look at the kernel's log; nothing was published",
            ) from exc
        raise


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(path: Path) -> None:
    """Make everything durable that was written to the file system that holds `path`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


def start_writing(descriptor: int) -> None:
    """Let the disk begin with this file, so that a later fsync of many files waits for all of them at once."""
    _libc.sync_file_range(descriptor, ctypes.c_int64(0), ctypes.c_int64(0), _SYNC_FILE_RANGE_WRITE)


def spread_directories(path: Path) -> None:
    """
    Directories in this one lie in parts of the disk of their own, where the file system can do that. For those that come and go:
    ext4 gives an inode that was deleted to nobody for a minute, and looks at all of these one by one for each file that is made
    in the same part.
    """
    flags = bytearray(8)
    with suppress(OSError):  # it isn't ext4
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _FS_IOC_GETFLAGS, flags)
            now = int.from_bytes(flags, sys.byteorder)
            if not now & _FS_TOPDIR_FL:
                fcntl.ioctl(descriptor, _FS_IOC_SETFLAGS, (now | _FS_TOPDIR_FL).to_bytes(8, sys.byteorder))
        finally:
            os.close(descriptor)


def copy_tree(source: Path, into: Path) -> None:
    """
    What is in a directory, links as links, into another one that may have something already. Raises the OSError of the first that
    could not be copied: `shutil.copytree` goes on and raises one that has no errno.
    """
    into.mkdir(exist_ok=True)
    with os.scandir(source) as entries:
        for entry in entries:
            target = into / entry.name
            if entry.is_symlink():
                target.symlink_to(os.readlink(entry.path))  # noqa: PTH115 - as it is written
            elif entry.is_dir():
                copy_tree(Path(entry.path), target)
            else:
                shutil.copy2(entry.path, target)
    shutil.copystat(source, into)


def replace_file(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write `path` aside and rename it into place: readers see the old bytes or the new ones."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(aside, "xb") as file:  # noqa: PTH123 - Path.open costs twice as much
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise
    if durable:
        sync_directory(path.parent)


@contextmanager
def open_regular(file: Path | int) -> Iterator[BufferedReader]:
    """
    A regular file, for reading from its beginning. `file` is a path, whose last part must not be a link, or a descriptor, which
    stays open. Raises InvalidInput for anything else; never waits for a FIFO.
    """
    if isinstance(file, int):
        # A file description of its own: the position of the caller's doesn't move.
        descriptor = os.open(f"/proc/self/fd/{file}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    else:
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as exc:
            if exc.errno == errno.ELOOP:
                raise InvalidInput(f"{file} is a link", code="path.symlink") from exc
            raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidInput(f"{file} is not a regular file", code="source.entry_forbidden")
    with os.fdopen(descriptor, "rb") as opened:
        yield opened


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[bool]:
    """
    Try to hold the lock file `path`; False when someone else holds it. Works between processes and between tasks: each call
    opens the file anew. A dead process holds nothing.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def measure(path: Path) -> tuple[int, int]:
    """
    Bytes and number of files below `path`. Bytes are what the files take in blocks of 4 KiB; a file with several names counts
    once. Follows no link.
    """
    total = files = 0
    seen: set[tuple[int, int]] = set()
    waiting = [os.fsencode(path)]
    while waiting:
        # A directory that a build closed to its owner counts as empty.
        with suppress(PermissionError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    continue
                status = entry.stat(follow_symlinks=False)
                files += 1
                if status.st_nlink > 1:
                    if (status.st_dev, status.st_ino) in seen:
                        continue
                    seen.add((status.st_dev, status.st_ino))
                total += -(-status.st_size // _BLOCK) * _BLOCK
    return total, files


def remove_tree(path: Path) -> None:
    """
    Remove a directory, or a file, with all that is in it, whatever its names, modes and depth. Follows no link.
    Nothing happens when it isn't there. What can't be removed raises the OSError of the first such entry.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        path.unlink(missing_ok=True)
        return
    top = _open_to_empty(None, path)
    try:
        deep: list[bytes] = []
        _empty(top, top, 0, deep)
        while deep:
            _remove_directory(top, deep.pop(), top, 0, deep)
    finally:
        os.close(top)
    with suppress(FileNotFoundError):
        path.rmdir()


def _empty(directory: int, top: int, depth: int, deep: list[bytes]) -> None:
    for entry in _entries(directory):
        name = os.fsencode(entry.name)
        if entry.is_dir(follow_symlinks=False):
            _remove_directory(directory, name, top, depth + 1, deep)
        else:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)


def _remove_directory(parent: int, name: bytes, top: int, depth: int, deep: list[bytes]) -> None:
    if depth > _DEEP:
        # Deeper than descriptors and the stack allow: bring it up, to be removed from there.
        moved = secrets.token_hex(8).encode()
        os.rename(name, moved, src_dir_fd=parent, dst_dir_fd=top)
        deep.append(moved)
        return
    try:
        directory = _open_to_empty(parent, name)
    except FileNotFoundError:
        return
    try:
        _empty(directory, top, depth, deep)
    finally:
        os.close(directory)
    with suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=parent)


def _entries(descriptor: int) -> list["os.DirEntry[str]"]:
    with os.scandir(descriptor) as entries:
        return list(entries)


def _open_to_empty(parent: int | None, name: bytes | Path) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=parent)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=parent)
        return os.open(name, flags, dir_fd=parent)
    # A build may leave directories that even their owner can't write to.
    if os.fstat(descriptor).st_mode & 0o700 != 0o700:
        with suppress(PermissionError):
            os.fchmod(descriptor, 0o700)
    return descriptor
