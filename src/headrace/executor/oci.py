"""Sandboxes by an OCI runtime, runc or crun: user namespace, own network, read-only root, limits by control groups."""

import asyncio
import json
import os
import random
import resource
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from headrace.errors import ExecutorUnavailable
from headrace.executor import _spec
from headrace.executor._base_system import base_system_name, provide_base_system
from headrace.executor._follow import Spawner
from headrace.executor._instructions import ContainerPlan, EgressPlan, Instructions
from headrace.executor._mounts import NETWORK, ROOT, STAGE, RootPlan
from headrace.executor._runtime import Runtime
from headrace.executor._sandbox_directory import SandboxDirectory, existing, make_directory
from headrace.executor._supervised import SupervisedSandbox
from headrace.model.limits import NetworkPhase
from headrace.model.sandbox import WORKING_DIRECTORY, Finding, SandboxCommand, SandboxSpec
from headrace.settings import Settings

#: The faster one first.
_RUNTIMES = ("crun", "runc")
_CGROUPS = "/headrace"
_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class OciExecutor:
    """Implements `Executor`."""

    name: ClassVar[str] = "oci"
    isolated: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        self.base_system = base_system_name()
        self._settings = settings
        self._root = settings.data_dir / "sandboxes"
        self._spawner = Spawner()
        self._ready: asyncio.Task[tuple[Path, Runtime]] | None = None

    async def open(self, spec: SandboxSpec) -> SupervisedSandbox:
        base, runtime = await asyncio.to_thread(self._prepare)
        directory = SandboxDirectory(self._root, spec.id, _CGROUPS)
        kept = await asyncio.to_thread(make_directory, directory.path, lambda _: {"first_id": self._free_ids()})

        def plan(command: SandboxCommand, place: Path, log: Path) -> Instructions:
            return self._instructions(spec, command, place, log, base, runtime, kept["first_id"])

        return SupervisedSandbox(spec, directory, spawner=self._spawner, plan=plan, below=spec.layers)

    async def existing(self) -> Sequence[str]:
        return await asyncio.to_thread(existing, self._root)

    async def discard(self, sandbox_id: str) -> None:
        await asyncio.to_thread(SandboxDirectory(self._root, sandbox_id, _CGROUPS).remove)

    async def examine(self) -> Sequence[Finding]:
        return ()

    def _prepare(self) -> tuple[Path, Runtime]:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        Path(STAGE).mkdir(exist_ok=True, mode=0o711)
        return provide_base_system(self._settings.data_dir, self._settings.debian_mirror), self._runtime()

    def _runtime(self) -> Runtime:
        for kind in [self._settings.oci_runtime] if self._settings.oci_runtime else _RUNTIMES:
            if path := shutil.which(kind, path=_SEARCH):
                return Runtime(Path(kind).name, path)
        raise ExecutorUnavailable("no OCI runtime was found", hint="apt-get install -y crun")

    def _free_ids(self) -> int:
        """The first of the ids of a new sandbox, which no other has."""
        taken = set()
        for name in existing(self._root):
            with suppress(OSError, ValueError, KeyError):
                taken.add(json.loads((self._root / name / "sandbox.json").read_bytes())["first_id"])
        # Far above the ids of people and services; at random, so that two data directories hardly ever meet.
        while (first := random.randrange(16, 32_000) * _spec.IDS) in taken:  # noqa: S311 - any number will do
            pass
        return first

    def _instructions(
        self,
        spec: SandboxSpec,
        command: SandboxCommand,
        place: Path,
        log: Path,
        base: Path,
        runtime: Runtime,
        first_id: int,
    ) -> Instructions:
        directory = self._root / spec.id
        egress = self._egress(command)
        cgroup = f"{_CGROUPS}/{spec.id}"
        where = _spec.Place(
            first_id=first_id,
            root=ROOT,
            cgroup=cgroup,
            network=NETWORK if egress else None,
            descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        )
        (place / "config.json").write_text(json.dumps(_spec.container(command, where)))
        limits = command.limits
        disk = directory / "disk"
        # The kernel's rest of an earlier command's overlay: `volatile` refuses a used one.
        shutil.rmtree(disk / "work", ignore_errors=True)
        (disk / "work").mkdir(exist_ok=True)
        root = RootPlan(
            base=str(base),
            layers=[str(layer) for layer in spec.layers],
            disk=str(disk),
            tools={_spec.mount_point(mount): str(mount.source) for mount in spec.mounts},
            ca_bundle=self._ca_bundle(),
            owner=(os.geteuid(), os.getegid()),
            first_id=first_id,
            build_user=first_id + _spec.BUILD_USER,
            working_directory=WORKING_DIRECTORY,
            home=_spec.HOME,
            tmp_bytes=limits.memory_bytes // 2,
        )
        return Instructions(
            build_id=spec.build_id,
            step=command.step,
            log=str(log),
            seconds=limits.seconds,
            soft_seconds=limits.seconds * limits.soft_fraction,
            log_bytes=limits.log_bytes,
            disk_bytes=limits.disk_bytes,
            watched=[str(disk / "upper"), str(disk / "home")],
            container=ContainerPlan(
                runtime=runtime,
                container=f"{spec.id}.{command.index}",
                state=str(directory / "state"),
                bundle=str(place),
                cgroup=cgroup,
                root=root,
            ),
            egress=egress,
        )

    def _egress(self, command: SandboxCommand) -> EgressPlan | None:
        phase = command.egress.phase
        if phase is NetworkPhase.NONE:
            return None
        hosts = list(command.egress.hosts)
        if phase in (NetworkPhase.REGISTRIES, NetworkPhase.INTERNET):
            hosts.append(urlsplit(self._settings.npm_registry).netloc.rpartition("@")[2])
        return EgressPlan(phase=phase, hosts=hosts)

    def _ca_bundle(self) -> str | None:
        for path in (self._settings.ca_file, _spec.CA_BUNDLE):
            if path and Path(path).is_file():
                return str(Path(path).resolve())
        return None
