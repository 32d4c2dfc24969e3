"""
An executor for tests that starts no process: what a command does is scripted by the name of its program. It obeys the
contract in all that callers can see: files, log, limits, kill, attaching, closing.
"""

import asyncio
import os
import shutil
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from headrace.disk import remove_tree
from headrace.errors import ExecutorUnavailable
from headrace.eventfile import EventFile
from headrace.executor._entry import really_free_port
from headrace.executor._origin import origin_of, soft_seconds
from headrace.executor._output import Output
from headrace.executor._sandbox_directory import existing, sandbox_path
from headrace.executor._writing import write_files
from headrace.executor._written import take
from headrace.executor.base import Tell, tell_nobody
from headrace.model.sandbox import (
    WORKING_DIRECTORY,
    CommandResult,
    Finding,
    HostUse,
    KillReason,
    OutputReceipt,
    SandboxCommand,
    SandboxFile,
    SandboxSpec,
    SetupStep,
)
from headrace.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Act:
    """What a scripted command does: prints, writes and removes files in its directory, takes its time, ends."""

    stdout: bytes = b""
    stderr: bytes = b""
    writes: Mapping[str, bytes] = field(default_factory=dict)
    removes: Sequence[str] = ()
    seconds: float = 0
    exit_code: int = 0
    #: As if a limit had been met.
    killed_by: KillReason | None = None
    background: int = 0
    #: What its connections came to.
    network: Sequence[HostUse] = ()
    #: While it takes its time: what it uses, who answers at which port of this machine, and what it does after each write.
    memory_bytes: int | None = None
    serves: Mapping[int, "Answer"] = field(default_factory=dict)
    on_write: "OnWrite | None" = None


#: Called with each connection, and with the sandbox, whose files it can `read`.
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter, "FakeSandbox"], Awaitable[None]]
#: What a command that watches does when files were written: prints, writes and removes.
OnWrite = Callable[[Sequence[SandboxFile], Sequence[str]], Act]
#: A scripted command that looks at what it was given: the command, and its working directory.
Script = Callable[[SandboxCommand, Path], Act]


class FakeExecutor:
    """Implements `Executor`. Executors with the same data directory see the same sandboxes, in one process."""

    name: ClassVar[str] = "fake"
    #: Tests put it where a real one would be.
    isolated: ClassVar[bool] = True

    def __init__(self, settings: Settings, acts: Mapping[str, Act | Script] | None = None) -> None:
        self.base_system = "fake"
        #: By program. What isn't here is not found, and exits with 127.
        self.acts: dict[str, Act | Script] = dict(acts or {})
        #: Every command that was started, in order.
        self.started: list[SandboxCommand] = []
        #: What is said to be done once, in order.
        self.setup: list[SetupStep] = []
        self._root = settings.data_dir / "fakes"

    @property
    def open_now(self) -> int:
        """Sandboxes that are open. Zero at the end of a test that cleans up."""
        return len(existing(self._root))

    async def prepare(self, tell: Tell = tell_nobody) -> None:
        while self.setup:
            tell(self.setup.pop(0))

    async def open(self, spec: SandboxSpec) -> "FakeSandbox":
        directory = sandbox_path(self._root, spec.id)
        if not directory.is_dir():
            for layer in reversed(spec.layers):
                shutil.copytree(layer, directory / "below", symlinks=True, dirs_exist_ok=True)
            for part in ("below", "top"):
                (directory / part).mkdir(parents=True, exist_ok=True)
        return FakeSandbox(spec, directory, self)

    async def existing(self) -> Sequence[str]:
        return existing(self._root)

    async def memory_of(self, sandbox_id: str) -> int | None:
        running = _running.get(sandbox_path(self._root, sandbox_id), {}).values()
        return next((command.memory_bytes for command in running if not command.task.done()), None)

    async def discard(self, sandbox_id: str) -> None:
        await _close(sandbox_path(self._root, sandbox_id))

    async def examine(self, tell: Tell = tell_nobody) -> Sequence[Finding]:  # noqa: ARG002 - nothing takes long
        return [Finding(subject="executor", status="ok", detail="nothing is run: commands are scripted")]


class FakeSandbox:
    """Implements `Sandbox`."""

    def __init__(self, spec: SandboxSpec, directory: Path, executor: FakeExecutor) -> None:
        self.spec = spec
        self._directory = directory
        self._executor = executor

    async def run(self, command: SandboxCommand, log: Path) -> CommandResult:
        if not self._directory.is_dir():
            raise ExecutorUnavailable(f"the sandbox {self.spec.id} is closed")
        commands = _running.setdefault(self._directory, {})
        if command.index not in commands:
            self._executor.started.append(command)
            commands[command.index] = _Command(self, command, self._directory, log, self._executor.acts)
        # The command goes on when its follower is cancelled.
        return await asyncio.shield(commands[command.index].task)

    async def running(self) -> None:
        await asyncio.sleep(0)
        command = self._command()
        await asyncio.wait([command.task, command.began], return_when=asyncio.FIRST_COMPLETED)
        self._command()

    async def write(self, files: Sequence[SandboxFile], removed: Sequence[str]) -> None:
        if any(not command.task.done() for command in _running.get(self._directory, {}).values()):
            await self.running()
        # What lies below is a copy of the layers, so the file may be in both, and what is in the way in either.
        for part in ("below", "top"):
            directory = os.open(self._directory / part, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                write_files(directory, files, removed)
            finally:
                os.close(directory)
        with suppress(ExecutorUnavailable):
            self._command().written(files, removed)

    def read(self, path: str) -> bytes | None:
        """A file as the commands see it now; None when there is none."""
        for part in ("top", "below"):
            with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return (self._directory / part / path).read_bytes()
        return None

    def open_live(self) -> int:
        return self.open_tree()

    def socket(self) -> socket.socket:
        self._command()
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def free_port(self) -> int:
        return really_free_port()

    async def memory(self) -> int | None:
        return self._command().memory_bytes

    def _command(self) -> "_Command":
        """The one that runs."""
        for _, command in sorted(_running.get(self._directory, {}).items(), reverse=True):
            if not command.task.done():
                return command
        raise ExecutorUnavailable(f"no command runs in the sandbox {self.spec.id}")

    async def kill(self, reason: KillReason) -> None:
        await _kill(self._directory, reason)

    def open_tree(self) -> int:
        merged = self._directory / f"merged-{time.monotonic_ns()}"
        _merge(self._directory, merged)
        return os.open(merged, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def take(self, path: str, into: Path) -> bool:
        return take(self._directory / "top", path, into)

    async def close(self) -> None:
        await _close(self._directory)


class _Command:
    """One that was started. It survives whoever started it, as long as the process lives."""

    def __init__(
        self,
        sandbox: FakeSandbox,
        command: SandboxCommand,
        directory: Path,
        log: Path,
        acts: Mapping[str, Act | Script],
    ) -> None:
        self._sandbox = sandbox
        self._command = command
        self._directory = directory
        self._acts = acts
        origin = origin_of(sandbox.spec, command)
        self._output = Output(EventFile(log), origin, log_bytes=command.limits.log_bytes, secrets=command.secret_values)
        self._doing: Act | None = None
        self._connections: set[asyncio.Task[None]] = set()
        #: Done when it does what it does.
        self.began = asyncio.get_running_loop().create_future()
        self._killed_by: asyncio.Future[KillReason] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._run())

    def kill(self, reason: KillReason) -> None:
        if not self._killed_by.done():
            self._killed_by.set_result(reason)

    async def _run(self) -> CommandResult:
        began = time.monotonic()
        act = self._doing = self._act()
        self._do(act)
        servers = [await self._serve(port, answer) for port, answer in act.serves.items()]
        self.began.set_result(None)
        killed_by = await self._wait(act) or self._limit(act)
        for server in servers:
            server.close()
        for connection in self._connections:
            connection.cancel()
        self._output.close()
        return CommandResult(
            exit_code=None if killed_by else act.exit_code,
            killed_by=killed_by,
            seconds=time.monotonic() - began,
            peak_memory_bytes=act.memory_bytes,
            background_killed=act.background,
            output=OutputReceipt.model_validate(self._output.receipt()),
            network=tuple(act.network),
        )

    @property
    def memory_bytes(self) -> int | None:
        return self._doing.memory_bytes if self._doing else None

    def written(self, files: Sequence[SandboxFile], removed: Sequence[str]) -> None:
        if self._doing and self._doing.on_write:
            self._do(self._doing.on_write(files, removed))

    async def _serve(self, port: int, answer: Answer) -> asyncio.Server:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if task := asyncio.current_task():
                self._connections.add(task)
                task.add_done_callback(self._connections.discard)
            try:
                await answer(reader, writer, self._sandbox)
            except (asyncio.CancelledError, ConnectionError):
                pass  # the command ended, or whoever had connected went
            finally:
                writer.close()

        return await asyncio.start_server(connected, "127.0.0.1", port)

    def _act(self) -> Act:
        program = self._command.argv[0]
        act = self._acts.get(program) or Act(stderr=f"{program}: not found\n".encode(), exit_code=127)
        if isinstance(act, Act):
            return act
        merged = self._directory / f"merged-{time.monotonic_ns()}"
        _merge(self._directory, merged)
        try:
            return act(self._command, merged / self._inside())
        finally:
            remove_tree(merged)

    async def _wait(self, act: Act) -> KillReason | None:
        limits = self._command.limits
        soft = soft_seconds(self._sandbox.spec, self._command) or limits.seconds
        for until, so_far in ((soft, 0.0), (limits.seconds, soft)):
            with suppress(TimeoutError):
                wait = max(0.0, min(act.seconds, until) - so_far)
                return await asyncio.wait_for(asyncio.shield(self._killed_by), wait)
            if until < limits.seconds and act.seconds > until:
                self._output.warn("limit.time_soon", f"{until:g} s have passed")
        return None

    def _limit(self, act: Act) -> KillReason | None:
        if act.seconds > self._command.limits.seconds:
            return KillReason.TIMEOUT
        if sum(map(len, act.writes.values())) > self._command.limits.disk_bytes:
            return KillReason.DISK
        return act.killed_by

    def _do(self, act: Act) -> None:
        self._output.feed("stdout", act.stdout)
        self._output.feed("stderr", act.stderr)
        top = self._directory / "top" / self._inside()
        for name, data in act.writes.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for name in act.removes:
            remove_tree(top / name)
            remove_tree(self._directory / "below" / self._inside() / name)

    def _inside(self) -> PurePosixPath:
        return PurePosixPath(self._command.directory).relative_to(WORKING_DIRECTORY)


#: Commands of open sandboxes, by directory and index.
_running: dict[Path, dict[int, _Command]] = {}


async def _kill(directory: Path, reason: KillReason) -> None:
    commands = list(_running.get(directory, {}).values())
    for command in commands:
        command.kill(reason)
    for command in commands:
        await asyncio.wait([command.task])


async def _close(directory: Path) -> None:
    await _kill(directory, KillReason.CANCELLED)
    _running.pop(directory, None)
    for part in ("below", "top"):
        remove_tree(directory / part)
    # A tree that is open stays readable: its names go, its owner has a copy of its own.
    with suppress(FileNotFoundError):
        for merged in directory.glob("merged-*"):
            merged.rename(directory.with_name(f".{merged.name}"))
    remove_tree(directory)


def _merge(directory: Path, into: Path) -> None:
    for part in ("below", "top"):
        shutil.copytree(directory / part, into, symlinks=True, dirs_exist_ok=True)
