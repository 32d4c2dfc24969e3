"""
Writing into a working directory while commands run in it.

Whoever runs there may plant links, FIFOs and directories in the way at any moment. The kernel resolves every path with
no link in it and nothing above the directory; what is opened is looked at before a byte is written.
"""

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from headrace import linux
from headrace.errors import InvalidInput, SandboxBlocked, StoreFull
from headrace.model.sandbox import SandboxFile

_NO_LINKS = linux.RESOLVE_BENEATH | linux.RESOLVE_NO_SYMLINKS
#: A FIFO or a device that lies there must not make us wait.
_WRITE = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PERMISSIONS = 0o7777
#: A file that appears while we make it is written to instead; nobody can make us try for ever.
_ATTEMPTS = 5
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR)


def write_files(root: int, files: Sequence[SandboxFile], removed: Sequence[str]) -> None:
    """
    Bring these files below the directory `root` to this state, as the user that the calling thread is. Raises
    InvalidInput for a path that can't be one, SandboxBlocked for what lies in the way, StoreFull.
    """
    for path in (*(file.path for file in files), *removed):
        _check(path)
    kept = {parent for file in files for parent in _parents(file.path)}
    written = {file.path for file in files}
    # A file where a directory comes, or a directory where a file comes. Everything else goes last: whoever reads meanwhile
    # finds a file that was moved twice rather than nowhere.
    first = [path for path in removed if path in kept or any(parent in written for parent in _parents(path))]
    _remove(root, first, kept)
    for file in files:
        with _explained(file.path):
            _write(root, file)
    later = set(first)
    _remove(root, [path for path in removed if path not in later], kept)


def _check(path: str) -> None:
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise InvalidInput(f"{path!r} is no path of a file in a sandbox", code="path.invalid")


def _parents(path: str) -> Iterator[str]:
    """The nearest first."""
    while (end := path.rfind("/")) > 0:
        path = path[:end]
        yield path


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise StoreFull(f"{path} can't be written into the sandbox: {exc.strerror}") from exc
        why = "a link is in the way" if exc.errno == errno.ELOOP else exc.strerror
        raise SandboxBlocked(f"{path} can't be changed in the sandbox: {why}") from exc


def _write(root: int, file: SandboxFile) -> None:
    for _ in range(_ATTEMPTS):
        try:
            _replace_content(root, file)
            return
        except FileNotFoundError:
            with suppress(FileExistsError):
                _in_parent(root, file, _make_whole)
                return
        except OSError as exc:
            if exc.errno == errno.ETXTBSY:
                # It is being executed. Whoever does keeps the old one.
                _in_parent(root, file, _make_aside)
                return
            if exc.errno != errno.EACCES:
                raise
            _make_writable(root, file.path)
    raise OSError(errno.EBUSY, "it changes all the time")


def _replace_content(root: int, file: SandboxFile) -> None:
    """In place, so that who watches the file still does, and never with a moment in which it is empty."""
    descriptor = linux.open_beneath(root, file.path, _WRITE, resolve=_NO_LINKS)
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "something that is no file is in the way")
        _write_all(descriptor, file.data)
        if about.st_size > len(file.data):
            os.ftruncate(descriptor, len(file.data))
        if bool(about.st_mode & 0o111) != file.executable:
            os.fchmod(descriptor, _mode(file))
    finally:
        os.close(descriptor)


def _make_writable(root: int, path: str) -> None:
    """What its owner could do, too. Raises what opening it raised when that doesn't help."""
    descriptor = linux.open_beneath(root, path, os.O_PATH, resolve=_NO_LINKS)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) or mode & stat.S_IWUSR:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        Path(f"/proc/self/fd/{descriptor}").chmod(mode & _PERMISSIONS | stat.S_IWUSR)
    finally:
        os.close(descriptor)


def _in_parent(root: int, file: SandboxFile, make: Callable[[int, str, SandboxFile], None]) -> None:
    folder, _, name = file.path.rpartition("/")
    parent = _open_directory(root, folder)
    try:
        make(parent, name, file)
    finally:
        os.close(parent)


def _open_directory(root: int, path: str) -> int:
    """The directory `path` below `root`, which is made when it isn't there, with what lies above it."""
    if not path:
        return os.dup(root)
    try:
        return linux.open_beneath(root, path, _DIRECTORY, resolve=_NO_LINKS)
    except FileNotFoundError:
        folder, _, name = path.rpartition("/")
        parent = _open_directory(root, folder)
    try:
        with suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=parent)
        made = os.open(name, _DIRECTORY, dir_fd=parent)
        with suppress(OSError):  # another's, or made by somebody else meanwhile
            os.fchmod(made, 0o755)
        return made
    finally:
        os.close(parent)


def _make_whole(parent: int, name: str, file: SandboxFile) -> None:
    """A new file that appears with all its bytes, and under no other name before: watchers see one thing happen."""
    try:
        descriptor = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=parent)
    except OSError as exc:
        if exc.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
        # Overlays can't before Linux 6.1.
        _make_aside(parent, name, file)
        return
    try:
        _fill(descriptor, file)
        os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=parent, follow_symlinks=True)
    finally:
        os.close(descriptor)


def _make_aside(parent: int, name: str, file: SandboxFile) -> None:
    aside = f".{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(aside, flags, 0o600, dir_fd=parent)
    try:
        try:
            _fill(descriptor, file)
        finally:
            os.close(descriptor)
        os.rename(aside, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        with suppress(OSError):
            os.unlink(aside, dir_fd=parent)
        raise


def _fill(descriptor: int, file: SandboxFile) -> None:
    _write_all(descriptor, file.data)
    os.fchmod(descriptor, _mode(file))


def _mode(file: SandboxFile) -> int:
    return 0o755 if file.executable else 0o644


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.pwrite(descriptor, data, 0)
    while written < len(data):
        written += os.pwrite(descriptor, memoryview(data)[written:], written)


def _remove(root: int, paths: Sequence[str], kept: set[str]) -> None:
    """These files, and the directories that have nothing left in them; what isn't there is gone already."""
    for path in paths:
        with _explained(path):
            _at(root, path, lambda name, parent: os.unlink(name, dir_fd=parent))
    for folder in sorted({parent for path in paths for parent in _parents(path)} - kept, reverse=True):
        with suppress(OSError):  # not empty
            _at(root, folder, lambda name, parent: os.rmdir(name, dir_fd=parent))


def _at(root: int, path: str, remove: Callable[[str, int], None]) -> None:
    folder, _, name = path.rpartition("/")
    try:
        parent = linux.open_beneath(root, folder or ".", os.O_PATH | os.O_DIRECTORY, resolve=_NO_LINKS)
    except OSError as exc:
        if exc.errno in _NOT_THERE:
            return
        raise
    try:
        remove(name, parent)
    except (FileNotFoundError, IsADirectoryError):
        pass
    finally:
        os.close(parent)
