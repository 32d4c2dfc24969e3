"""Sandboxes in containers of Docker or Podman, in an image of the operator's choice."""

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from headrace.errors import ExecutorUnavailable, HeadraceError
from headrace.executor._container_plan import Machine, processors_wanted, read_machine
from headrace.executor._daemon_api import DaemonApi, DaemonError
from headrace.executor._daemon_found import daemon_findings, find_daemon, socket_of
from headrace.executor._daemon_image import Image, image_digest, provide_image
from headrace.executor._daemon_plan import (
    MOUNTS,
    OWNER_LABEL,
    SANDBOX_LABEL,
    Daemon,
    daemon_instructions,
    skeleton,
)
from headrace.executor._entry import RootEntry
from headrace.executor._follow import Spawner
from headrace.executor._instructions import Instructions
from headrace.executor._mounts import STAGE
from headrace.executor._namespace import Ground
from headrace.executor._proof import Proof, control_findings, refuse_weak
from headrace.executor._prove import Held, Promise, mounted_python, prove
from headrace.executor._runtime import Runtime
from headrace.executor._sandbox_directory import (
    FIRST_IDS,
    Allotted,
    SandboxDirectory,
    allot,
    existing,
    make_directory,
)
from headrace.executor._setup import Setup, base_system
from headrace.executor._spec import HOSTNAME, TOOLS, environment
from headrace.executor._supervised import SupervisedSandbox
from headrace.executor.base import Tell, tell_nobody
from headrace.model.limits import NetworkPhase
from headrace.model.sandbox import Finding, SandboxCommand, SandboxMount, SandboxSpec, SetupWork
from headrace.settings import Settings

_VERSION = "{version}"
#: Only root can give a container's mounts other owners.
_GROUND = Ground(STAGE, None)


class DockerExecutor:
    """Implements `Executor`."""

    name: ClassVar[str] = "docker"
    isolated: ClassVar[bool] = True

    def __init__(self, settings: Settings, *, proven: bool = False, place: str = "containers") -> None:
        self._settings = settings
        self._root = settings.data_dir / place
        # Of containers: two data directories of one machine may have sandboxes of the same name.
        self._owner = hashlib.sha256(bytes(self._root.absolute())).hexdigest()[:12]
        self._spawner = Spawner(_GROUND)
        self._daemon: Daemon | None = None
        self._images: dict[str, Image] = {}
        self._proven = proven
        self._preparing = asyncio.Lock()
        self._setup = Setup()

    @property
    def base_system(self) -> str:
        """The image, by the digest that the engine has for its name now. Where it has none, nothing equals it."""
        name = self._settings.docker_image
        with suppress(DaemonError, ExecutorUnavailable):
            api = DaemonApi(socket_of(self._settings))
            every = _VERSION in name
            if found := api.images_digest(name.partition(":")[0]) if every else image_digest(api, name):
                return f"image {name} {found}"
        return f"image {name} that is not here {secrets.token_hex(8)}"

    async def prepare(self, tell: Tell = tell_nobody) -> None:
        with self._setup.told(tell):
            daemon, _ = await asyncio.gather(self._found(), asyncio.to_thread(self._spawner.warm))
            if _VERSION not in self._settings.docker_image:
                await self._refuse_weak(daemon, await self._image(daemon, self._image_name(None)))

    async def open(self, spec: SandboxSpec) -> SupervisedSandbox:
        daemon = await self._found()
        image = await self._image(daemon, self._image_name(spec), offline=spec.offline)
        await self._refuse_weak(daemon, image)
        directory = self._directory(spec.id)
        machine = self._machine(daemon)
        kept = await asyncio.to_thread(make_directory, directory.path, lambda _: self._allot(machine)._asdict())
        if image.musl or _VERSION in self._settings.docker_image:
            # Ours needs glibc, or is the one that the image was chosen for.
            spec = spec.but(mounts=tuple(mount for mount in spec.mounts if not _is_node(mount.target)))

        def plan(command: SandboxCommand, place: Path, log: Path) -> Instructions:
            owner = self._owner
            return daemon_instructions(
                machine,
                daemon,
                image.id,
                owner,
                spec,
                command,
                place,
                log,
                Allotted(kept["first_id"], kept.get("processor", 0)),
            )

        return SupervisedSandbox(
            spec, directory, spawner=self._spawner, plan=plan, below=spec.layers, entry=RootEntry()
        )

    async def existing(self) -> Sequence[str]:
        return await asyncio.to_thread(self._existing)

    async def memory_of(self, sandbox_id: str) -> int | None:
        return await asyncio.to_thread(self._directory(sandbox_id).memory)

    async def discard(self, sandbox_id: str) -> None:
        await asyncio.to_thread(self._directory(sandbox_id).remove)

    async def examine(self, tell: Tell = tell_nobody) -> Sequence[Finding]:
        from headrace.executor._examine import real_sandbox  # noqa: PLC0415 - only `headrace doctor` needs it

        findings: list[Finding] = []
        try:
            daemon = await self._found()
            findings += daemon_findings(daemon)
            image = await self._image(daemon, self._image_name(None))
            findings.append(Finding(subject="image", status="ok", detail=f"{image.name}, {image.digest[:19]}"))
            with self._setup.told(tell):
                held = await self.prove()
            return [*findings, await real_sandbox(self._beside(image)), *control_findings(held, self._settings)]
        except HeadraceError as exc:
            fix = exc.hint or "see the message"
            return [*findings, Finding(subject="sandbox", status="missing", detail=exc.message, fix=fix)]

    async def prove(self) -> Sequence[Held]:
        """Try every control of the sandbox now, and remember what was found. Raises ExecutorUnavailable."""
        daemon = await self._found()
        image = await self._image(daemon, self._image_name(None))
        return await self._proof(daemon).anew(partial(self._prove, daemon, image))

    async def _found(self) -> Daemon:
        """Raises ExecutorUnavailable, which says what is missing."""
        async with self._preparing:
            if self._daemon is None:
                self._daemon = await asyncio.to_thread(find_daemon, self._settings, self._root)
            return self._daemon

    def _image_name(self, spec: SandboxSpec | None) -> str:
        """The image of a sandbox: the operator's, for the version of Node that the sandbox was to have."""
        tools = [Path(mount.target).name for mount in spec.mounts] if spec else []
        version = next((name.removeprefix("node-") for name in tools if name.startswith("node-")), "lts")
        return self._settings.docker_image.replace(_VERSION, version)

    async def _image(self, daemon: Daemon, name: str, *, offline: bool = False) -> Image:
        async with self._preparing:
            if name not in self._images:
                api = DaemonApi(daemon.socket, daemon.api)
                self._images[name] = await asyncio.to_thread(provide_image, api, name, offline=offline)
            return self._images[name]

    def _allot(self, machine: Machine) -> Allotted:
        wanted = processors_wanted(self._settings.cpus)
        return allot(self._root, FIRST_IDS, processors=len(machine.processors), of_each=wanted)

    def _machine(self, daemon: Daemon) -> Machine:
        return read_machine(skeleton(self._root), Runtime(daemon.kind, daemon.socket), self._settings, _GROUND)

    async def _refuse_weak(self, daemon: Daemon, image: Image) -> None:
        """Try the controls of the sandbox when it isn't known whether they hold here. Raises ExecutorUnavailable."""
        async with self._preparing:
            if not self._proven:
                accepted = self._settings.accept_weaker_sandbox
                held = await self._proof(daemon).of(partial(self._prove, daemon, image), accepted)
                refuse_weak(held, accepted, self.name)
                self._proven = True

    def _proof(self, daemon: Daemon) -> Proof:
        place = self._settings.data_dir / "base"
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        about = [daemon.kind, daemon.version, daemon.own_ids, daemon.shared_ids, self._settings.disk_io_bytes]
        return Proof(place, about)

    def _beside(self, image: Image) -> "DockerExecutor":
        """One whose sandboxes lie elsewhere: whoever removes what no build needs does not see them."""
        settings = self._settings.model_copy(update={"docker_image": image.name})
        return DockerExecutor(settings, proven=True, place="proving-containers")

    async def _prove(self, daemon: Daemon, image: Image) -> Sequence[Held]:
        executor = self._beside(image)
        for left in await executor.existing():
            await executor.discard(left)
        python: tuple[str, ...] = (image.python,)
        mounts: tuple[SandboxMount, ...] = ()
        if not image.python:
            python, mounts = mounted_python(await base_system(self._settings, self._setup))
        promise = Promise(
            hostname=HOSTNAME,
            mounts=MOUNTS,
            variables=lambda command: list(environment(command, proxy=command.egress.phase is not NetworkPhase.NONE)),
            descriptors=self._machine(daemon).descriptors,
            io_bytes=self._settings.disk_io_bytes,
            python=python,
            python_mounts=mounts,
        )
        with TemporaryDirectory(prefix="headrace-proving-") as place, self._setup.step(SetupWork.CONTROLS):
            return await prove(executor.open, promise, Path(place))

    def _directory(self, name: str) -> SandboxDirectory:
        return SandboxDirectory(self._root, name, sweep=partial(self._remove_containers, name))

    def _existing(self) -> Sequence[str]:
        return sorted({*existing(self._root), *(name for name, _ in self._containers())})

    def _remove_containers(self, sandbox: str) -> None:
        """Of supervisors that were killed. A daemon that doesn't answer keeps its own until somebody asks again."""
        for name, container in self._containers():
            if name == sandbox:
                with suppress(DaemonError):
                    DaemonApi(socket_of(self._settings)).remove(container)

    def _containers(self) -> list[tuple[str, str]]:
        """Sandboxes and their containers, as far as the daemon knows of any."""
        try:
            found = DaemonApi(socket_of(self._settings)).labelled(f"{OWNER_LABEL}={self._owner}")
        except (DaemonError, ExecutorUnavailable):
            return []
        return [(one["Labels"][SANDBOX_LABEL], one["Id"]) for one in found]


def _is_node(target: str) -> bool:
    return target.startswith(f"{TOOLS}/node-")
