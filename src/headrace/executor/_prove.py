"""
Proves the controls of an executor: opens sandboxes, has the probe look around in them, does in them what limits must end, and
plants outside what must not be found.

Knows executors by their contract alone, so that one proof serves all that isolate.
"""

import asyncio
import json
import platform
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from headrace.errors import ExecutorUnavailable
from headrace.eventfile import EventFile
from headrace.executor import _probe
from headrace.executor._controls import CONTROLS, Chapter, Shown
from headrace.executor._planted import Outside, answers_of, marked, planted
from headrace.executor._probe.given import Given, Limited, Planted, as_text
from headrace.executor._spec import TOOLS
from headrace.executor.base import Sandbox
from headrace.model.limits import MIB, Limits, NetworkPhase
from headrace.model.plan import StepId
from headrace.model.sandbox import (
    WORKING_DIRECTORY,
    CommandResult,
    Egress,
    KillReason,
    SandboxCommand,
    SandboxFile,
    SandboxMount,
    SandboxSpec,
)

#: Where the probe lies in a sandbox, below the working directory.
_PROGRAM = ".headrace-probe"
#: Runs it with nothing but the standard library, and leaves no compiled files.
_BOOT = (
    f"import runpy, sys; sys.dont_write_bytecode = True; sys.path.insert(0, '{WORKING_DIRECTORY}/{_PROGRAM}'); "
    "runpy.run_module('headrace.executor._probe', run_name='__main__')"
)
_LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
_LIMITS = Limits(memory_bytes=96 * MIB, pids=64, cpus=0.75, disk_bytes=64 * MIB, seconds=180)
_BEGIN_SECONDS = 60
#: Chapters that are looked at again in a sandbox with a network phase.
_WITH_NETWORK = (Chapter.IDENTITY, Chapter.NETWORK)


class Held(NamedTuple):
    """Whether a control holds, and what was seen of it."""

    control: str
    holds: bool
    seen: str


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What an executor says of its sandboxes; the probe holds it to that."""

    hostname: str
    #: Mount points with the options that each must have. One that ends with `/` stands for everything below.
    mounts: Mapping[str, Sequence[str]]
    #: Names of variables that a command gets beside what it declares, without and with a network phase.
    variables: Callable[[SandboxCommand], Sequence[str]]
    descriptors: int
    io_bytes: int | None = None
    #: A Python that runs in every sandbox of this executor: that of the base system, or one that is mounted for it.
    python: Sequence[str] = ("/usr/bin/python3",)
    python_mounts: tuple[SandboxMount, ...] = ()


def mounted_python(base: Path) -> tuple[tuple[str, ...], tuple[SandboxMount, ...]]:
    """
    `python` and `python_mounts` of a promise where the root file system is anybody's: the base system's Python, with its own
    libraries and its own loader. It needs nothing of the root that it runs in.
    """
    inside = f"{TOOLS}/probe-python"
    libraries = f"{inside}/usr/lib/{platform.machine()}-linux-gnu"
    argv = (f"{libraries}/{_LOADERS[platform.machine()]}", "--library-path", libraries, f"{inside}/usr/bin/python3")
    return argv, (SandboxMount(source=base, target=inside),)


OpenSandbox = Callable[[SandboxSpec], Awaitable[Sandbox]]


async def prove(open_sandbox: OpenSandbox, promise: Promise, place: Path) -> Sequence[Held]:
    """
    Every control that can be shown in a sandbox, in the order of the list. `place` is an empty directory for logs. Takes some
    seconds. Raises ExecutorUnavailable when the probe itself can't run.
    """
    mark = f"headrace-{secrets.token_hex(6)}"
    prover = _Prover(open_sandbox, promise, place, mark)
    with planted(mark) as outside:
        deeds = asyncio.create_task(prover.deeds())
        try:
            looked = await prover.look_beside_a_neighbour(outside)
        finally:
            done = await deeds
    found: dict[str, Held] = {}
    for held in (*looked, *done):
        # A control holds when it does in every way that it was tried.
        if held.control not in found or not held.holds:
            found[held.control] = held
    wanted = [c.number for c in CONTROLS if Shown.INSIDE in c.shown or Shown.DEED in c.shown]
    if silent := [number for number in wanted if number not in found]:
        raise ExecutorUnavailable(f"the probe of the sandbox's controls said nothing of {', '.join(silent)}")
    return [found[number] for number in wanted]


class _Prover:
    def __init__(self, open_sandbox: OpenSandbox, promise: Promise, place: Path, mark: str) -> None:
        self._open_sandbox = open_sandbox
        self._promise = promise
        self._place = place
        self._mark = mark
        self._number = 0

    async def look_beside_a_neighbour(self, outside: Outside) -> list[Held]:
        """Look around in one sandbox while another one runs that has left things and listens."""
        async with _opened(self, "neighbour") as neighbour:
            command = self._command(["leave", self._mark], env={"MARK": self._mark})
            log = self._log()
            running = asyncio.create_task(neighbour.run(command, log))
            try:
                left = await self._said(log, running)
                beside = Planted(
                    namespaces={kind: str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in NAMESPACES},
                    abstract=[outside.abstract, self._mark],
                    ports=[outside.port, left["port"]],
                    addresses=outside.addresses,
                    mark=self._mark,
                    places=left["places"],
                    ids=tuple(left["ids"]),
                )
                looked = await self._look(beside, outside)
                reached = answers_of(self._mark, left["port"], outside.addresses)
                looked.append(_held("H48", not reached, {"reached at": reached}))
            finally:
                died = await self._death(neighbour, running)
            return [*looked, died]

    async def _look(self, beside: Planted, outside: Outside) -> list[Held]:
        again = [c.number for c in CONTROLS if c.chapter in _WITH_NETWORK and Shown.INSIDE in c.shown]
        allowed = f"localhost:{outside.port}"
        async with _opened(self, "look") as sandbox:
            alone = await self._probe(sandbox, beside, None, [])
            return alone + await self._probe(sandbox, beside, allowed, again)

    async def _probe(self, sandbox: Sandbox, beside: Planted, allowed: str | None, controls: list[str]) -> list[Held]:
        network = Egress(phase=NetworkPhase.REGISTRIES, hosts=(allowed,)) if allowed else Egress()
        command = self._command([], egress=network)
        given = Given(
            hostname=self._promise.hostname,
            environment=list(self._promise.variables(command)),
            mounts={point: list(options) for point, options in self._promise.mounts.items()},
            limits=Limited(
                memory_bytes=command.limits.memory_bytes,
                disk_bytes=command.limits.disk_bytes,
                pids=command.limits.pids,
                cpus=command.limits.cpus,
                descriptors=self._promise.descriptors,
                io_bytes=self._promise.io_bytes,
            ),
            planted=beside,
            allowed=allowed,
        )
        log = self._log()
        result = await sandbox.run(command.but(argv=self._argv(["look", as_text(given), *controls])), log)
        if result.exit_code != 0:
            end = result.killed_by or f"exit code {result.exit_code}"
            said = " ".join(_lines(log, "stderr")[-3:])
            raise ExecutorUnavailable(f"the probe of the sandbox's controls ended with {end}: {said}")
        found = [json.loads(line) for line in _lines(log, "stdout")]
        return [Held(line["control"], line["holds"], json.dumps(line["seen"])) for line in found]

    async def _death(self, sandbox: Sandbox, running: "asyncio.Task[CommandResult]") -> Held:
        """H57: a tree of processes that won't go is gone."""
        before, began = len(marked(self._mark)), time.monotonic()
        await sandbox.kill(KillReason.CANCELLED)
        took = time.monotonic() - began
        result, after = await running, len(marked(self._mark))
        # `kill` gives up after 2 s: that it came in time is that nothing is left.
        holds = result.killed_by is KillReason.CANCELLED and after == 0
        return _held("H57", holds, {"processes": before, "left": after, "seconds": round(took, 2)})

    async def deeds(self) -> list[Held]:
        """Each in a sandbox of its own, one after another: beside them another one looks around."""
        small = 16 * MIB
        held = []
        for number, deed, limits, end in (
            ("H49", "eat_memory", {"memory_bytes": 64 * MIB}, KillReason.MEMORY),
            ("H54", "wait", {"seconds": 0.5}, KillReason.TIMEOUT),
            ("H32", "fill_disk", {"disk_bytes": small}, KillReason.DISK),
            ("H32", "hide_on_disk", {"disk_bytes": small}, KillReason.DISK),
            ("H32", "make_files", {"disk_files": 5000}, KillReason.DISK),
        ):
            result = await self._do(deed, limits)
            seen = result.killed_by or f"exit code {result.exit_code}"
            held.append(_held(number, result.killed_by is end, {deed: seen}))
        flooded = await self._do("flood", {"log_bytes": 64 * 1024})
        cut = flooded.output.truncated_bytes
        held.append(_held("H55", flooded.exit_code == 0 and cut > 0, {"cut": cut, "exit code": flooded.exit_code}))
        return held

    async def _do(self, deed: str, limits: Mapping[str, Any]) -> CommandResult:
        async with _opened(self, deed.replace("_", "-")) as sandbox:
            command = self._command(["meet", deed])
            return await sandbox.run(command.but(limits=command.limits.but(**limits)), self._log())

    async def _said(self, log: Path, running: "asyncio.Task[CommandResult]") -> dict[str, Any]:
        """The first line that a running command says."""
        end = time.monotonic() + _BEGIN_SECONDS
        while time.monotonic() < end and not running.done():
            if lines := _lines(log, "stdout"):
                said: dict[str, Any] = json.loads(lines[0])
                return said
            await asyncio.sleep(0.02)
        raise ExecutorUnavailable(
            f"the probe of the sandbox's controls did not start: {' '.join(_lines(log, 'stderr'))}"
        )

    async def open(self, name: str) -> Sandbox:
        spec = SandboxSpec(
            id=f"{self._mark}-{name}", build_id="build_probe", layers=(), mounts=self._promise.python_mounts
        )
        sandbox = await self._open_sandbox(spec)
        await sandbox.write(_program(), [])
        return sandbox

    def _command(self, arguments: Sequence[str], **fields: Any) -> SandboxCommand:
        self._number += 1
        given = {
            "index": self._number,
            "step": StepId.BUILD,
            "argv": self._argv(arguments),
            "limits": _LIMITS,
            **fields,
        }
        return SandboxCommand(**given)

    def _argv(self, arguments: Sequence[str]) -> tuple[str, ...]:
        return (*self._promise.python, "-I", "-S", "-c", _BOOT, *arguments)

    def _log(self) -> Path:
        self._number += 1
        return self._place / f"{self._number}.ndjson"


class _opened:  # noqa: N801 - used like a function
    """A sandbox with the probe in it, closed at the end."""

    def __init__(self, prover: _Prover, name: str) -> None:
        self._prover, self._name = prover, name

    async def __aenter__(self) -> Sandbox:
        self._sandbox = await self._prover.open(self._name)
        return self._sandbox

    async def __aexit__(self, *_: object) -> None:
        await self._sandbox.close()


def _program() -> list[SandboxFile]:
    """The probe's files as they must lie below the working directory to be imported by their own names."""
    source = Path(_probe.__file__).parent
    inside = f"{_PROGRAM}/headrace/executor/_probe"
    return [SandboxFile(f"{inside}/{path.name}", path.read_bytes()) for path in sorted(source.glob("*.py"))]


def _lines(log: Path, stream: str) -> list[str]:
    """What a command has printed so far, whole lines only."""
    if not log.exists():
        return []
    text = ""
    for stored in b"".join(EventFile(log).read_from()).splitlines():
        event = json.loads(stored)
        if event.get("stream") == stream:
            text += event["line"] + ("\n" if event.get("eol", True) else "")
    return text.split("\n")[:-1]


def _held(control: str, holds: bool, seen: object) -> Held:
    return Held(control, holds, json.dumps(seen))
