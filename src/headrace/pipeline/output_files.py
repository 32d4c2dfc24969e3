"""Reading a build's output from its open directory: what the build's last process left is not trusted to be what was seen."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from headrace.errors import StepFailed
from headrace.linux import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, open_beneath
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.plan import StepId

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY


@contextmanager
def open_output_file(tree_fd: int, path: str) -> Iterator[int]:
    """
    A descriptor of the regular file `path` below `tree_fd`. Never follows a link and never waits for a FIFO.
    Raises StepFailed when something else is there, or nothing.
    """
    try:
        descriptor = open_beneath(tree_fd, path, _FLAGS, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.EXDEV):
            raise _refused(f"{path} is a symbolic link, or lies behind one") from exc
        if exc.errno in (errno.ENOENT, errno.ENOTDIR):
            raise _refused(f"{path} went away after the build") from exc
        if exc.errno in (errno.EACCES, errno.ENXIO):
            raise _refused(f"{path} can't be read: {exc.strerror}") from exc
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _refused(f"{path} is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
        return file.readall()


def _refused(message: str) -> StepFailed:
    return StepFailed(
        Failure(
            reason=FailureReason.OUTPUT_INVALID,
            step=StepId.ARTIFACT,
            message=message,
            hint="an output is published as the regular files in it; have the build copy what it links to",
        )
    )
