"""What the planner may read: the files of a version by their paths, and nothing beside them."""

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from headrace.linux import leads_nowhere
from headrace.model.diagnostic import FailureReason
from headrace.plan.refusal import refusal

#: Far above any file that people write, and above the lock files of the largest repositories.
LARGEST_FILE = 64 * 1024 * 1024

_SKIPPED = frozenset({".git", "node_modules"})


class ProjectFiles(Protocol):
    """The files of one version. Paths are relative to its root, with `/` between the names."""

    def paths(self) -> Collection[str]:
        """Every file of the version. Asking `in` is cheap. Links are listed, and never followed."""
        ...

    def read(self, path: str) -> bytes | None:
        """
        The bytes of a regular file; None when there is none. Raises StepFailed for a link or a file over the cap, OSError when that
        can't be known.
        """
        ...


class MemoryFiles:
    """Files in memory."""

    def __init__(self, files: Mapping[str, bytes | str]) -> None:
        self._files = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}

    def paths(self) -> Collection[str]:
        return self._files.keys()

    def read(self, path: str) -> bytes | None:
        return self._files.get(path)


class DirectoryFiles:
    """
    Files below a directory that a stranger may have written: links are not followed, anywhere on the way.

    Without `paths` the directory is walked once, without `.git` and `node_modules`.
    """

    def __init__(self, root: Path, paths: Collection[str] | None = None) -> None:
        self._root = root
        self._paths = frozenset(paths) if paths is not None else None

    def paths(self) -> Collection[str]:
        if self._paths is None:
            self._paths = frozenset(_walk(self._root))
        return self._paths

    def read(self, path: str) -> bytes | None:
        try:
            descriptor = self._open(path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as exc:
            if not leads_nowhere(exc):
                raise
            # ELOOP: O_NOFOLLOW met a link. Anything else of a stranger's that can't be opened is as little of use.
            raise refusal(
                FailureReason.CONFIG_ERROR,
                f"{path} can't be read: it is, or lies behind, a symbolic link",
                hint=f"put a regular file at {path}",
                file=path,
            ) from exc
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise refusal(
                FailureReason.CONFIG_ERROR,
                f"{path} is larger than {LARGEST_FILE // 2**20} MiB",
                hint=f"{path} is read to plan the build; make it smaller",
                file=path,
            )
        return data

    def _open(self, path: str) -> int:
        """Open every directory of the way by its own descriptor, so that none of them can be a link."""
        names = path.split("/")
        if not path or any(name in ("", ".", "..") for name in names):
            raise FileNotFoundError(path)
        here = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in names[:-1]:
                deeper = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
                os.close(here)
                here = deeper
            # O_NONBLOCK: opening a FIFO must not wait for a writer.
            return os.open(names[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
        finally:
            os.close(here)


def _walk(root: Path) -> Iterator[str]:
    waiting = [(os.fspath(root), "")]
    while waiting:
        directory, prefix = waiting.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _SKIPPED:
                        waiting.append((entry.path, f"{prefix}{entry.name}/"))
                else:
                    yield prefix + entry.name
