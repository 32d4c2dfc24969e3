"""Sandboxes in containers of Docker or Podman, in an image of the operator's choice."""

import asyncio
import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from headrace.errors import ExecutorUnavailable
from headrace.executor._container_plan import read_machine
from headrace.executor._daemon_api import DaemonApi, DaemonError
from headrace.executor._daemon_image import Image, image_digest, provide_image
from headrace.executor._daemon_plan import (
    OWNER_LABEL,
    SANDBOX_LABEL,
    Daemon,
    daemon_instructions,
    skeleton,
)
from headrace.executor._entry import RootEntry
from headrace.executor._follow import Spawner
from headrace.executor._instructions import Instructions, write_aside
from headrace.executor._mounts import STAGE
from headrace.executor._namespace import Ground
from headrace.executor._runtime import Runtime
from headrace.executor._sandbox_directory import SandboxDirectory, existing, free_ids, make_directory
from headrace.executor._seccomp import profile
from headrace.executor._spec import TOOLS
from headrace.executor._supervised import SupervisedSandbox
from headrace.model.sandbox import Finding, SandboxCommand, SandboxSpec
from headrace.settings import Settings

#: Where engines listen: Docker's, then Podman's for root.
SOCKETS = ("/run/docker.sock", "/run/podman/podman.sock")
_VERSION = "{version}"
#: Only root can give a container's mounts other owners.
_GROUND = Ground(STAGE, None)


class DockerExecutor:
    """Implements `Executor`."""

    name: ClassVar[str] = "docker"
    isolated: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = settings.data_dir / "containers"
        self._owner = hashlib.sha256(bytes(self._root.absolute())).hexdigest()[:12]
        self._spawner = Spawner(_GROUND)
        self._daemon: Daemon | None = None
        self._images: dict[str, Image] = {}
        self._preparing = asyncio.Lock()

    @property
    def base_system(self) -> str:
        """The image, by the digest that the engine has for its name now. Where it has none, nothing equals it."""
        name = self._settings.docker_image
        with suppress(DaemonError, ExecutorUnavailable):
            api = DaemonApi(self._socket())
            every = _VERSION in name
            found = api.images_digest(name.partition(":")[0]) if every else image_digest(api, name)
            if found:
                return f"image {name} {found}"
        return f"image {name} that is not here {secrets.token_hex(8)}"

    async def prepare(self) -> None:
        await asyncio.gather(self.daemon(), asyncio.to_thread(self._spawner.warm))

    async def open(self, spec: SandboxSpec) -> SupervisedSandbox:
        daemon = await self.daemon()
        image = await self._image(daemon, self.image_name(spec), offline=spec.offline)
        directory = self._directory(spec.id)
        kept = await asyncio.to_thread(make_directory, directory.path, lambda _: {"first_id": free_ids(self._root)})
        machine = read_machine(skeleton(self._root), Runtime(daemon.kind, daemon.socket), self._settings, _GROUND)
        if image.musl or _VERSION in self._settings.docker_image:
            # Ours needs glibc, or is the one that the image was chosen for.
            spec = spec.but(mounts=tuple(mount for mount in spec.mounts if not _is_node(mount.target)))

        def plan(command: SandboxCommand, place: Path, log: Path) -> Instructions:
            return daemon_instructions(machine, daemon, image.id, spec, command, place, log, kept["first_id"])

        return SupervisedSandbox(
            spec, directory, spawner=self._spawner, plan=plan, below=spec.layers, entry=RootEntry()
        )

    async def existing(self) -> Sequence[str]:
        return await asyncio.to_thread(self._existing)

    async def memory_of(self, sandbox_id: str) -> int | None:
        return await asyncio.to_thread(self._directory(sandbox_id).memory)

    async def discard(self, sandbox_id: str) -> None:
        await asyncio.to_thread(self._directory(sandbox_id).remove)

    async def examine(self) -> Sequence[Finding]:
        from headrace.executor._examine import real_sandbox  # noqa: PLC0415 - only `headrace doctor` needs it

        try:
            daemon = await self.daemon()
            name = self.image_name(None)
            await self._image(daemon, name)
        except ExecutorUnavailable as exc:
            return [Finding(subject="container engine", status="missing", detail=exc.message, fix=exc.hint)]
        about = await asyncio.to_thread(DaemonApi(daemon.socket).about)
        return [
            Finding(subject="container engine", status="ok", detail=f"{about.kind} {about.version}, {daemon.socket}"),
            Finding(subject="image", status="ok", detail=name),
            _ids(daemon),
            await real_sandbox(self),
        ]

    async def daemon(self) -> Daemon:
        """What is decided once for all sandboxes. Raises ExecutorUnavailable, which says what is missing."""
        async with self._preparing:
            if self._daemon is None:
                self._daemon = await asyncio.to_thread(self._look)
            return self._daemon

    def image_name(self, spec: SandboxSpec | None) -> str:
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

    def _look(self) -> Daemon:
        if os.geteuid() != 0:
            raise ExecutorUnavailable(
                "sandboxes in containers need root here too: without it, nothing may be mounted into them",
                hint="run Headrace as root (sudo), or set HEADRACE_EXECUTOR=process for code that you trust",
            )
        api = DaemonApi(path := self._socket())
        try:
            about = api.about()
            ids = any("name=userns" in option for option in api.information().get("SecurityOptions") or ())
        except DaemonError as exc:
            raise ExecutorUnavailable(
                f"no container engine answers: {exc}",
                hint=f"start Docker (`systemctl start docker`) or Podman's service (`podman system service -t 0 unix://{path}`)",
            ) from exc
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        Path(STAGE).mkdir(exist_ok=True, mode=0o711)
        write_aside(self._root / ".seccomp.json", json.dumps(profile()).encode())
        return Daemon(
            socket=path,
            api=about.api,
            kind=about.kind,
            own_ids=about.kind == "podman" and _has_ids_for_containers(),
            shared_ids=about.kind == "docker" and ids,
            profile=str(self._root / ".seccomp.json"),
            owner=self._owner,
        )

    def _socket(self) -> str:
        """Raises ExecutorUnavailable."""
        asked = self._settings.docker_host
        if asked is None:
            return next((path for path in SOCKETS if Path(path).is_socket()), SOCKETS[0])
        path = asked.removeprefix("unix://")
        if not path.startswith("/"):
            raise ExecutorUnavailable(
                f"HEADRACE_DOCKER_HOST is {asked}: sandboxes need an engine of this machine",
                hint="set it to the path of a Unix socket, such as /run/docker.sock",
            )
        return path

    def _directory(self, name: str) -> SandboxDirectory:
        return SandboxDirectory(self._root, name, sweep=lambda: self._remove_containers(name))

    def _existing(self) -> Sequence[str]:
        return sorted({*existing(self._root), *(name for name, _ in self._containers())})

    def _remove_containers(self, sandbox: str) -> None:
        """Of supervisors that were killed. A daemon that doesn't answer has none that run: its successor is asked again."""
        for name, container in self._containers():
            if name == sandbox:
                with suppress(DaemonError):
                    DaemonApi(self._socket()).remove(container)

    def _containers(self) -> list[tuple[str, str]]:
        """Sandboxes and their containers, as far as the daemon knows of any."""
        try:
            found = DaemonApi(self._socket()).labelled(f"{OWNER_LABEL}={self._owner}")
        except (DaemonError, ExecutorUnavailable):
            return []
        return [(one["Labels"][SANDBOX_LABEL], one["Id"]) for one in found]


def _has_ids_for_containers() -> bool:
    """Whether Podman may give each container ids of its own: `containers` is how it calls itself there."""
    with suppress(OSError):
        return all(
            any(line.startswith("containers:") for line in Path(path).read_text().splitlines())
            for path in ("/etc/subuid", "/etc/subgid")
        )
    return False


def _ids(daemon: Daemon) -> Finding:
    if daemon.own_ids:
        return Finding(subject="user namespaces", status="ok", detail="every container has ids of its own")
    if daemon.kind == "podman":
        line = "containers:2147483648:1000000000"
        return Finding(
            subject="user namespaces",
            status="warning",
            detail="root in a container is root of this machine, and nobody becomes it; Podman has no ids to give",
            fix=f"echo {line} | tee -a /etc/subuid /etc/subgid",
        )
    detail = "one range for all containers" if daemon.shared_ids else "root in a container is root of this machine"
    return Finding(
        subject="user namespaces",
        status="warning",
        detail=f"{detail}: Docker has none for each container. Every sandbox has a user of its own all the same",
        fix="HEADRACE_EXECUTOR=oci"
        if daemon.shared_ids
        else "dockerd --userns-remap=default, or HEADRACE_EXECUTOR=oci",
    )


def _is_node(target: str) -> bool:
    return target.startswith(f"{TOOLS}/node-")
