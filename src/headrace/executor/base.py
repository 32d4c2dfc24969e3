"""
The contract of executors: they open isolation.

Order of calls: `open` a sandbox, `run` commands in it one after another, `close` it. `close` may be called at any
time, also twice, also while a command runs (which it kills). All of a sandbox's state is below its own directory, so
that another process can pick it up: `open` with the spec of a sandbox that exists attaches to it, and `run` with a
command that was started before follows it to its end instead of starting it again.

A command may run for days (the builder of a preview). Then a second task reaches into the sandbox: it makes a task of `run`,
awaits `running`, and calls `write`, `socket`, `open_live` and `memory` until the task ends.
"""

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from headrace.model.sandbox import (
    CommandResult,
    Finding,
    KillReason,
    SandboxCommand,
    SandboxFile,
    SandboxSpec,
    SetupStep,
)

#: Hears what is done once for a machine, as it begins and ends.
Tell = Callable[[SetupStep], None]


def tell_nobody(_: SetupStep) -> None:
    """For those who don't want to know."""


class Sandbox(Protocol):
    """
    One isolated place. Used by one task at a time, except `kill` and `close`, which any task may call, and what is for
    use while a command runs.
    """

    spec: SandboxSpec

    async def run(self, command: SandboxCommand, log: Path) -> CommandResult:
        """
        Run `command` to its end, or follow it if an earlier worker started it. Its output is appended to the event file
        `log` by a supervisor that outlives this process.

        A command that exits non-zero or is killed is a result. Raises ExecutorUnavailable if it could not be started.
        Cancelling this call leaves the command running; `kill` or `close` ends it.
        """
        ...

    async def running(self) -> None:
        """
        Wait until the first process of the command runs that `run` was called for, or a task with `run` was made for.
        Raises ExecutorUnavailable when it has ended before, or when none was asked for.
        """
        ...

    async def write(self, files: Sequence[SandboxFile], removed: Sequence[str]) -> None:
        """
        Change the working directory while a command runs, or before one does, as if the sandbox's own user had: watchers
        inside see it, the files are that user's. Directories are made where they are needed, and empty ones go with the
        last file that is removed from them. What is to be removed and isn't there is no error.

        A file that exists keeps its inode and is never empty in between; a new one appears with all its bytes. No link is
        followed anywhere. Raises SandboxBlocked when a link, a directory, a FIFO or a device lies where a file must go
        (files before it are written then), InvalidInput for a path that leads out or is none, StoreFull, and
        ExecutorUnavailable when the command ended.
        """
        ...

    def open_live(self) -> int:
        """
        A directory descriptor of the working directory as the running command sees it right now; that of `open_tree` when
        none runs. The caller closes it soon: it keeps the sandbox's mounts.

        What is below may change at any moment and holds links that lead anywhere, and FIFOs. Read with
        `linux.open_beneath` and RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, O_NONBLOCK, and look at what was opened.
        """
        ...

    def socket(self) -> socket.socket:
        """
        A new TCP socket, not blocking, without delay, in the sandbox's network: 127.0.0.1 is the sandbox's own, whatever it
        may reach otherwise. The caller connects and closes it. Raises ExecutorUnavailable when no command is `running`.
        """
        ...

    def free_port(self) -> int:
        """A port that a command of this sandbox can be told to listen on. Another one with each call."""
        ...

    async def memory(self) -> int | None:
        """
        Bytes that everything in the sandbox uses now, without cached files that the kernel can drop. None where that can't
        be told. Cheap.
        """
        ...

    async def kill(self, reason: KillReason) -> None:
        """End the running command and everything it started, within 2 s. Nothing happens when none runs."""
        ...

    def open_tree(self) -> int:
        """
        A directory descriptor of the working directory as the commands see it: layers and what was written on top.
        The caller closes it. It stays readable until then, also after `close` of the sandbox has begun to delete files.
        """
        ...

    def take(self, path: str, into: Path) -> bool:
        """
        Move what the commands wrote at `path` (relative to the working directory) to `into`, by rename on the same file
        system. False when nothing was written there. Only valid when no command runs.
        """
        ...

    async def close(self) -> None:
        """Kill what runs and remove the sandbox: processes, mounts, cgroups, directories. Safe to repeat."""
        ...


class Executor(Protocol):
    """Opens sandboxes. Safe to use from many tasks."""

    name: ClassVar[str]
    #: False when tenant code runs with the rights of this process.
    isolated: ClassVar[bool]

    @property
    def base_system(self) -> str:
        """What cache keys say of the system that commands run on: equal texts, equal programs. Known before it is made."""
        ...

    async def prepare(self, tell: Tell = tell_nobody) -> None:
        """
        Make ready what every sandbox needs, so that the first `open` is as fast as the others; `tell` hears what of it takes
        seconds. Need not be called; may be called at any time, also twice: the second time it costs nothing. It may fetch
        something. Raises ExecutorUnavailable.
        """
        ...

    async def open(self, spec: SandboxSpec) -> Sandbox:
        """
        Make the sandbox's directories, or attach to them when they exist. Raises ExecutorUnavailable; NotFetched for a spec that
        is `offline` when something would have to be fetched for it.
        """
        ...

    async def existing(self) -> Sequence[str]:
        """Ids of all sandboxes that are open or were left behind, whichever process opened them."""
        ...

    async def memory_of(self, sandbox_id: str) -> int | None:
        """
        What `Sandbox.memory` says of the sandbox with this id, whichever process opened it. None also when there is none.
        """
        ...

    async def discard(self, sandbox_id: str) -> None:
        """`close` the sandbox with this id, whichever process opened it. Nothing happens when there is none."""
        ...

    async def examine(self, tell: Tell = tell_nobody) -> Sequence[Finding]:
        """
        What this machine has and lacks for this executor. Opens a real sandbox to find out; `tell` hears what of it takes
        seconds.
        """
        ...
