"""A sandbox whose commands run under a supervisor: everything that is the same with and without a container."""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from headrace.errors import EngineLost, ExecutorUnavailable
from headrace.executor._cgroup import hasten_moves
from headrace.executor._entry import Entry
from headrace.executor._follow import Spawner, has_ended, has_started, read_result, supervisor, until_end
from headrace.executor._instructions import Instructions, first_process, write_instructions
from headrace.executor._reach import Ended, Reach, Writer
from headrace.executor._sandbox_directory import SandboxDirectory
from headrace.executor._written import take
from headrace.model.sandbox import CommandResult, KillReason, SandboxCommand, SandboxFile, SandboxSpec

#: What a supervisor has to do for a command: with the command's directory and the log.
Plan = Callable[[SandboxCommand, Path, Path], Instructions]
#: How often to look whether a command runs. It takes a moment to start.
_LOOK_SECONDS = 0.002


class SupervisedSandbox:
    """
    Implements `Sandbox`. `below` are the layers that the working directory shows below what commands wrote. `entry` is the way
    into the sandbox. `cause` is asked when a command could not be started, and blocks: an error that another attempt may not meet.
    """

    def __init__(
        self,
        spec: SandboxSpec,
        directory: SandboxDirectory,
        *,
        spawner: Spawner,
        plan: Plan,
        below: Sequence[Path],
        entry: Entry,
        cause: Callable[[], ExecutorUnavailable | None] = lambda: None,
    ) -> None:
        self.spec = spec
        self._directory = directory
        self._spawner = spawner
        self._plan = plan
        self._below = below
        self._entry = entry
        self._cause = cause
        #: The place of the command that is followed.
        self._place: Path | None = None
        self._reached: Reach | None = None
        self._following = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def run(self, command: SandboxCommand, log: Path) -> CommandResult:
        self._following += 1
        self._place = self._directory.command(command.index)
        self._quiet.clear()
        try:
            return await self._run(command, log)
        except ExecutorUnavailable as exc:
            passing = exc if isinstance(exc, EngineLost) else await asyncio.to_thread(self._cause)
            if passing is None:
                raise
            await asyncio.to_thread(self._directory.forget, command.index)
            raise passing from exc
        finally:
            self._following -= 1
            if not self._following:
                self._let_go()
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
                    lost = await asyncio.to_thread(self._directory.bury, place)
                    if place.is_dir() and not has_ended(place):
                        return lost
                continue
            if descriptor is None:
                asyncio.get_running_loop().run_in_executor(None, hasten_moves)
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
        instructions = self._plan(command, place, log)
        write_instructions(place, instructions)
        return self._spawner.start(place, instructions.container.runtime if instructions.container else None)

    async def running(self) -> None:
        await asyncio.sleep(0)  # a task that was made for `run` a moment ago has not begun before
        while self._following:
            if self._reached is None:
                self._reached = self._reach()
            if self._reached is not None:
                return
            await asyncio.sleep(_LOOK_SECONDS)
        raise self._nothing_runs()

    async def write(self, files: Sequence[SandboxFile], removed: Sequence[str]) -> None:
        if self._following:
            await self.running()
        writer = self._reached.writer() if self._reached else await asyncio.to_thread(self._unstarted)
        await asyncio.to_thread(writer.write, files, removed)

    def open_live(self) -> int:
        return self._reached.open_directory() if self._reached else self.open_tree()

    def socket(self) -> socket.socket:
        if self._reached is None:
            raise self._nothing_runs()
        return self._reached.socket()

    def free_port(self) -> int:
        return self._entry.free_port()

    async def memory(self) -> int | None:
        return self._directory.memory()

    async def kill(self, reason: KillReason) -> None:
        await asyncio.to_thread(self._directory.kill, reason)

    def open_tree(self) -> int:
        tree = self._entry.open_layers([self._directory.upper, *self._below])
        self._directory.hold(tree)
        return tree

    def take(self, path: str, into: Path) -> bool:
        return take(self._directory.upper, path, into)

    async def close(self) -> None:
        self._let_go()
        await asyncio.to_thread(self._directory.kill, KillReason.CANCELLED)
        # `run` still has to read how its command ended.
        await self._quiet.wait()
        await asyncio.to_thread(self._directory.remove)

    def _reach(self) -> Reach | None:
        """None while the command has no first process, or none any more. Raises ExecutorUnavailable."""
        place = self._place
        if place is None or first_process(place) is None or has_ended(place):
            return None
        try:
            return self._entry.reach(place)
        except Ended:
            return None
        except OSError as exc:
            raise ExecutorUnavailable(f"the command of the sandbox {self.spec.id} can't be reached: {exc}") from exc

    def _unstarted(self) -> Writer:
        """The working directory while nothing runs."""
        upper = self._directory.upper
        try:
            return self._entry.open_unstarted(upper, upper.with_name("work"), self._below)
        except OSError as exc:
            raise ExecutorUnavailable(f"the sandbox {self.spec.id} can't be written to: {exc}") from exc

    def _let_go(self) -> None:
        if self._reached is not None:
            self._reached.close()
            self._reached = None

    def _nothing_runs(self) -> ExecutorUnavailable:
        return ExecutorUnavailable(f"no command runs in the sandbox {self.spec.id}")
