"""The output as it lies in the build's working directory: listed and read without following links."""

import os
import stat
from collections.abc import Iterator

from headrace.checks.base import Output, OutputFile, OutputLink
from headrace.checks.refusal import refusal
from headrace.errors import StepFailed
from headrace.linux import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, leads_nowhere, open_beneath
from headrace.model.diagnostic import Failure, FailureReason

_BENEATH = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
_KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a device", stat.S_IFCHR: "a device"}

#: Files that speak to Headrace and git, at the top of a project that is served as it is.
_SETTINGS = frozenset({"headrace.toml", ".headraceignore", ".gitignore", ".gitattributes"})

#: Not part of a result, even where the result is the project's own directory.
_SKIPPED = frozenset({"node_modules", ".git", ".pnpm-store"})


def list_output(tree_fd: int, directory: str, *, max_bytes: int, max_files: int) -> Output:
    """
    What is in `directory` below `tree_fd`. Raises StepFailed as soon as a cap is passed, however much more there is.
    """
    files: list[OutputFile] = []
    links: list[OutputLink] = []
    odd: list[tuple[str, str]] = []
    total = 0
    for path, status, target in _walk(tree_fd, directory):
        if not _is_text(path):
            odd.append((os.fsencode(path).decode("utf-8", "backslashreplace"), "a name that is not UTF-8"))
        elif target is not None:
            links.append(OutputLink(path=path, target=target))
        elif status is None:
            odd.append((path, "a directory that can't be read"))
        elif stat.S_ISREG(status.st_mode):
            files.append(OutputFile(path=path, size=status.st_size))
            total += status.st_size
        else:
            odd.append((path, _KINDS.get(stat.S_IFMT(status.st_mode), "not a file")))
        if len(files) + len(links) + len(odd) > max_files:
            raise StepFailed(_too_large(directory, f"more than {max_files:,} files"))
        if total > max_bytes:
            raise StepFailed(_too_large(directory, f"more than {max_bytes / 2**20:,.0f} MiB"))
    files.sort(key=lambda file: file.path)
    return Output(directory=directory, files=tuple(files), bytes=total, links=tuple(links), odd=tuple(odd))


class DescriptorReader:
    """Reads files of the output below an open directory. Safe against a tree that changes while it is read."""

    def __init__(self, tree_fd: int, directory: str) -> None:
        self._tree_fd = tree_fd
        self._directory = directory

    def read(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes; empty for what is not a regular file."""
        try:
            descriptor = self._open(path)
        except OSError as exc:
            if leads_nowhere(exc):
                return b""
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return b""
        with os.fdopen(descriptor, "rb") as file:
            return file.read(limit)

    def _open(self, path: str) -> int:
        """In two steps: beneath the tree is not yet beneath the output."""
        flags = os.O_RDONLY | os.O_DIRECTORY
        output = open_beneath(self._tree_fd, self._directory or ".", flags, resolve=_BENEATH)
        try:
            return open_beneath(output, path, os.O_RDONLY | os.O_NONBLOCK, resolve=_BENEATH)
        finally:
            os.close(output)


def _walk(tree_fd: int, directory: str) -> Iterator[tuple[str, os.stat_result | None, str | None]]:
    """Paths with their status, the target of a link, or neither for a directory that can't be read."""
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        below = "/".join(part for part in (directory, prefix.rstrip("/")) if part)
        try:
            descriptor = open_beneath(tree_fd, below or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=_BENEATH)
        except OSError as exc:
            if not leads_nowhere(exc):
                raise
            yield prefix.rstrip("/") or directory, None, None
            continue
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    path = prefix + entry.name
                    if path in _SETTINGS:
                        continue
                    if entry.is_symlink():
                        yield (
                            path,
                            None,
                            os.fsencode(os.readlink(entry.name, dir_fd=descriptor)).decode("utf-8", "replace"),
                        )
                    elif not entry.is_dir(follow_symlinks=False):
                        yield path, entry.stat(follow_symlinks=False), None
                    elif entry.name not in _SKIPPED:
                        waiting.append(f"{path}/")
        finally:
            os.close(descriptor)


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_large(directory: str, what: str) -> Failure:
    return refusal(
        FailureReason.OUTPUT_TOO_LARGE,
        f"the output {directory or '.'!r} has {what}",
        hint="publish only the built files: set output below [build] in headrace.toml to the directory that holds them",
    )
