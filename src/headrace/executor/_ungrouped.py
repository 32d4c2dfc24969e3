"""Finding what belongs to a sandbox on machines where this user can't put processes into groups."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from headrace.executor._mounts import root_at
from headrace.executor._reach import Ended, first_process_of
from headrace.executor._runtime import await_end
from headrace.executor._spec import HOME
from headrace.executor._watch import Watch

_PATIENCE_SECONDS = 1.0


class Ungrouped(Protocol):
    def kill(self, sandbox: Path) -> bool:
        """Kill what is left in the sandbox whose supervisor was killed. False when there is nothing."""
        ...

    def memory(self, command: Path) -> int | None:
        """Bytes that a running command uses; None when that can't be told."""
        ...


class Marked:
    """Implements `Ungrouped`: all processes have the sandbox's directory in their environment as `variable`."""

    def __init__(self, variable: str) -> None:
        self._variable = variable

    def kill(self, sandbox: Path) -> bool:
        wanted = f"{self._variable}={sandbox}".encode()
        return _kill_where(lambda process: wanted in (process / "environ").read_bytes().split(b"\0"))

    def memory(self, command: Path) -> int | None:  # noqa: ARG002
        return None


class Contained:
    """
    Implements `Ungrouped`: the processes of a container are the only ones that see the home of its sandbox where it is, and can't
    change that.
    """

    def __init__(self, stage: str) -> None:
        # Before a runtime has changed into the container's root, it is where the supervisor put it together.
        self._homes = (HOME, root_at(stage) + HOME)

    def kill(self, sandbox: Path) -> bool:
        with suppress(FileNotFoundError):
            home = (sandbox / "disk" / "home").stat()
            return _kill_where(lambda process: any(_is(home, process, place) for place in self._homes))
        return False

    def memory(self, command: Path) -> int | None:
        with suppress(Ended, OSError, ValueError), first_process_of(command) as process:
            watch = Watch(process)
            try:
                return watch.memory()
            finally:
                watch.close()
        return None


def _is(home: os.stat_result, process: Path, place: str) -> bool:
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.path.samestat(home, os.stat(f"{process}/root{place}"))  # noqa: PTH116
    return False


def _kill_where(belongs: Callable[[Path], bool]) -> bool:
    found = False
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            descriptor = os.pidfd_open(int(process.name))
            try:
                if belongs(process):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    found = True
                    await_end(descriptor, _PATIENCE_SECONDS)
            finally:
                os.close(descriptor)
    return found
