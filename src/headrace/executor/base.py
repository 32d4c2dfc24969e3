"""
The contract of executors: they open isolation.

Order of calls: `open` a sandbox, `run` commands in it one after another, `close` it. `close` may be called at any
time, also twice, also while a command runs (which it kills). All of a sandbox's state is below its own directory, so
that another process can pick it up: `open` with the spec of a sandbox that exists attaches to it, and `run` with a
command that was started before follows it to its end instead of starting it again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from headrace.model.sandbox import CommandResult, Finding, KillReason, SandboxCommand, SandboxSpec


class Sandbox(Protocol):
    """One isolated place. Used by one task at a time, except `kill`, which any task may call."""

    spec: SandboxSpec

    async def run(self, command: SandboxCommand, log: Path) -> CommandResult:
        """
        Run `command` to its end, or follow it if an earlier worker started it. Its output is appended to the event file
        `log` by a supervisor that outlives this process.

        A command that exits non-zero or is killed is a result. Raises ExecutorUnavailable if it could not be started.
        Cancelling this call leaves the command running; `kill` or `close` ends it.
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
    #: What cache keys say of the system that commands run on: equal texts, equal programs. Known before it is made.
    base_system: str

    async def prepare(self) -> None:
        """
        Make ready what every sandbox needs, so that the first `open` is as fast as the others: called when a build is likely
        soon. Need not be called; may be called at any time, also twice. Raises ExecutorUnavailable.
        """
        ...

    async def open(self, spec: SandboxSpec) -> Sandbox:
        """Make the sandbox's directories, or attach to them when they exist. Raises ExecutorUnavailable."""
        ...

    async def existing(self) -> Sequence[str]:
        """Ids of all sandboxes that are open or were left behind, whichever process opened them."""
        ...

    async def discard(self, sandbox_id: str) -> None:
        """`close` the sandbox with this id, whichever process opened it. Nothing happens when there is none."""
        ...

    async def examine(self) -> Sequence[Finding]:
        """What this machine has and lacks for this executor. Opens a real sandbox to find out."""
        ...
