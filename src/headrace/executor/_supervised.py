"""A sandbox whose commands run under a supervisor: everything that is the same with and without a container."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from headrace.errors import ExecutorUnavailable
from headrace.executor._follow import Spawner, has_ended, has_started, read_result, supervisor, until_end
from headrace.executor._instructions import Instructions, write_instructions
from headrace.executor._sandbox_directory import SandboxDirectory
from headrace.executor._written import open_layers, take
from headrace.model.sandbox import CommandResult, KillReason, SandboxCommand, SandboxSpec

#: What a supervisor has to do for a command: with the command's directory and the log.
Plan = Callable[[SandboxCommand, Path, Path], Instructions]


class SupervisedSandbox:
    """Implements `Sandbox`. `below` are the layers that the working directory shows below what commands wrote."""

    def __init__(
        self, spec: SandboxSpec, directory: SandboxDirectory, *, spawner: Spawner, plan: Plan, below: Sequence[Path]
    ) -> None:
        self.spec = spec
        self._directory = directory
        self._spawner = spawner
        self._plan = plan
        self._below = below
        self._following = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def run(self, command: SandboxCommand, log: Path) -> CommandResult:
        self._following += 1
        self._quiet.clear()
        try:
            return await self._run(command, log)
        finally:
            self._following -= 1
            if not self._following:
                self._quiet.set()

    async def _run(self, command: SandboxCommand, log: Path) -> CommandResult:
        place = self._directory.command(command.index)
        began, followed = time.monotonic(), False
        while (result := read_result(place)) is None:
            if followed and not place.is_dir():
                # Somebody else has closed the sandbox meanwhile.
                return CommandResult(killed_by=KillReason.CANCELLED, seconds=time.monotonic() - began)
            descriptor = supervisor(place)
            if descriptor is None and has_started(place):
                if not has_ended(place):
                    await asyncio.to_thread(self._directory.bury, place)
                continue
            if descriptor is None:
                descriptor = await asyncio.to_thread(self._start, command, place, log)
            if descriptor is not None:
                await until_end(descriptor)
                followed = True
        return result

    def _start(self, command: SandboxCommand, place: Path, log: Path) -> int | None:
        try:
            place.mkdir(exist_ok=True)
        except FileNotFoundError as exc:
            raise ExecutorUnavailable(f"the sandbox {self.spec.id} is closed") from exc
        write_instructions(place, self._plan(command, place, log))
        return self._spawner.start(place)

    async def kill(self, reason: KillReason) -> None:
        await asyncio.to_thread(self._directory.kill, reason)

    def open_tree(self) -> int:
        tree = open_layers([self._directory.upper, *self._below])
        self._directory.hold(tree)
        return tree

    def take(self, path: str, into: Path) -> bool:
        return take(self._directory.upper, path, into)

    async def close(self) -> None:
        await asyncio.to_thread(self._directory.kill, KillReason.CANCELLED)
        # `run` still has to read how its command ended.
        await self._quiet.wait()
        await asyncio.to_thread(self._directory.remove)
