"""
No isolation: commands run with the rights of this process, and reach whatever it reaches. For code that you trust, on
machines without a runtime. What a sandbox gives and this can't: limits of the network, of processors and of the disk
(files are limited one by one), and a file system of its own. Memory and processes are limited where control groups allow.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

import structlog

from headrace.disk import copy_tree
from headrace.executor._entry import NoEntry
from headrace.executor._every_command import instructions_of
from headrace.executor._follow import Spawner
from headrace.executor._instructions import Instructions, ProcessPlan
from headrace.executor._sandbox_directory import SandboxDirectory, cgroup_of, existing, make_directory
from headrace.executor._supervised import SupervisedSandbox
from headrace.executor._ungrouped import Marked
from headrace.executor.base import Tell, tell_nobody
from headrace.model.sandbox import WORKING_DIRECTORY, Finding, SandboxCommand, SandboxSpec
from headrace.settings import Settings

_log = structlog.get_logger(__name__)

#: A variable of all its processes, so that they are found where there are no control groups.
_MARK = "HEADRACE_SANDBOX"
_SEARCH = "/usr/local/bin:/usr/bin:/bin"
#: What a process needs to trust the same authorities as the service.
_PASSED_ON = ("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO")


class ProcessExecutor:
    """Implements `Executor`."""

    name: ClassVar[str] = "process"
    isolated: ClassVar[bool] = False

    def __init__(self, settings: Settings) -> None:
        machine = os.uname()
        self.base_system = f"this-machine-{machine.nodename}-{machine.machine}"
        self._root = settings.data_dir / "processes"
        self._spawner = Spawner()

    async def prepare(self, tell: Tell = tell_nobody) -> None:  # noqa: ARG002 - nothing takes long
        await asyncio.to_thread(self._spawner.warm)

    async def open(self, spec: SandboxSpec) -> SupervisedSandbox:
        _log.warning(
            "no isolation: this runs with all rights of the service", build=spec.build_id, project=spec.project_id
        )
        directory = SandboxDirectory(self._root, spec.id, Marked(_MARK))
        await asyncio.to_thread(self._make, spec, directory.path)

        def plan(command: SandboxCommand, _: Path, log: Path) -> Instructions:
            return _instructions(spec, command, directory.path, log)

        entry = NoEntry(directory.upper)
        return SupervisedSandbox(spec, directory, spawner=self._spawner, plan=plan, below=(), entry=entry)

    async def existing(self) -> Sequence[str]:
        return await asyncio.to_thread(existing, self._root)

    async def memory_of(self, sandbox_id: str) -> int | None:
        return await asyncio.to_thread(SandboxDirectory(self._root, sandbox_id, Marked(_MARK)).memory)

    async def discard(self, sandbox_id: str) -> None:
        await asyncio.to_thread(SandboxDirectory(self._root, sandbox_id, Marked(_MARK)).remove)

    async def examine(self, tell: Tell = tell_nobody) -> Sequence[Finding]:  # noqa: ARG002 - nothing takes long
        detail = "commands run with all rights of the service: only for code that you trust"
        return [Finding(subject="isolation", status="warning", detail=detail, fix="HEADRACE_EXECUTOR=oci")]

    def _make(self, spec: SandboxSpec, directory: Path) -> None:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        make_directory(directory, lambda aside: _copy_layers(spec.layers, aside / "disk" / "upper"))


def _copy_layers(layers: Sequence[Path], into: Path) -> dict[str, object]:
    """Copies, because nothing here keeps a command from writing to what it is given."""
    for layer in reversed(layers):
        copy_tree(layer, into)
    return {}


def _inside(spec: SandboxSpec, directory: Path, path: str) -> str:
    """Where a path of the sandbox lies on this machine."""
    places = [(WORKING_DIRECTORY, directory / "disk" / "upper"), *((m.target, m.source) for m in spec.mounts)]
    for target, source in places:
        if PurePosixPath(path).is_relative_to(target):
            return str(source / PurePosixPath(path).relative_to(target))
    return path


def _instructions(spec: SandboxSpec, command: SandboxCommand, directory: Path, log: Path) -> Instructions:
    disk, limits = directory / "disk", command.limits
    own = {"HOME": str(disk / "home"), "PATH": _SEARCH, "USER": "builder", "LOGNAME": "builder"}
    env = own | {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | command.env
    env[_MARK] = str(directory)
    env["PATH"] = ":".join(_inside(spec, directory, part) for part in env["PATH"].split(":"))
    return replace(
        instructions_of(spec, command, disk, log),
        process=ProcessPlan(
            argv=[_inside(spec, directory, command.argv[0]), *command.argv[1:]],
            env=env,
            directory=_inside(spec, directory, command.directory),
            cgroup=cgroup_of(directory.parent, spec.id),
            memory_bytes=limits.memory_bytes,
            pids=limits.pids,
            file_bytes=limits.disk_bytes,
        ),
    )
