"""One command of a sandbox as instructions for its supervisor: the container's configuration, its root, its limits."""

import json
import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from headrace.errors import ExecutorUnavailable
from headrace.executor import _spec
from headrace.executor._block_device import BlockDevice, block_device_of
from headrace.executor._cgroup import Delegated, cgroup_mounts
from headrace.executor._every_command import instructions_of
from headrace.executor._instructions import ContainerPlan, EgressPlan, Instructions
from headrace.executor._keeper import GroupPart, OwnLimits
from headrace.executor._mounts import RootPlan, network_at, root_at
from headrace.executor._namespace import GivenIds, Ground
from headrace.executor._overlay import make_anew
from headrace.executor._runtime import Runtime
from headrace.linux import IdRange
from headrace.model.limits import Limits, NetworkPhase
from headrace.model.sandbox import WORKING_DIRECTORY, OwnRegistry, SandboxCommand, SandboxSpec
from headrace.settings import Settings

_CA_BUNDLES = (_spec.CA_BUNDLE, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
#: A sandbox may leave this part of its memory in files of /tmp.
_TMP_SHARE = 2


class Machine(NamedTuple):
    """What is the same for all sandboxes of this machine."""

    base: Path
    runtime: Runtime
    ca_bundle: str | None
    #: `host` or `host:port` of the npm registry: allowed wherever registries are.
    registry: str
    #: Descriptors that a process may have at most.
    descriptors: int
    #: Processes that a user may have at most.
    processes: int
    #: Processors that can be given to sandboxes; empty where they can't be chosen.
    processors: tuple[int, ...]
    #: See `_spec.Place`.
    disk: tuple[BlockDevice, int] | None
    ground: Ground
    #: What a user who is not root has of control groups.
    delegated: Delegated


class SandboxPlace(NamedTuple):
    """What was decided for one sandbox when it was made."""

    #: The first of its ids where its supervisor is.
    first_id: int
    #: Where its processors begin.
    processor: int
    cgroup: str
    groups: Sequence[GroupPart] = ()


def read_machine(
    base: Path, runtime: Runtime, settings: Settings, ground: Ground, delegated: Delegated | None = None
) -> Machine:
    bundle = next(
        (str(Path(path).resolve()) for path in (settings.ca_file, *_CA_BUNDLES) if path and Path(path).is_file()), None
    )
    # Who can't have a group for them keeps to them by other means.
    pickable = (
        ground.given is not None or any("cpuset" in mount.controllers for mount in cgroup_mounts()) or _offers("cpuset")
    )
    return Machine(
        base=base,
        runtime=runtime,
        ca_bundle=bundle,
        registry=urlsplit(settings.npm_registry).netloc.rpartition("@")[2],
        descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        processes=_most_processes(),
        processors=tuple(sorted(os.sched_getaffinity(0))) if pickable else (),
        disk=_limited_disk(settings) if ground.given is None else None,
        ground=ground,
        delegated=delegated or Delegated(),
    )


def container_instructions(
    machine: Machine,
    spec: SandboxSpec,
    command: SandboxCommand,
    place: Path,
    log: Path,
    where: SandboxPlace,
) -> Instructions:
    """Also writes `config.json` to `place`, the command's directory. Raises ExecutorUnavailable for what can't be."""
    directory, limits = place.parents[1], command.limits
    egress = egress_of(machine, command, place)
    own = _own_limits(machine, limits, where) if machine.ground.given is not None else None
    config = _spec.container(
        command,
        _spec.Place(
            ids=_ids(machine.ground.given, where.first_id),
            root=root_at(machine.ground.stage),
            cgroup=None if own else where.cgroup,
            network=network_at(machine.ground.stage) if egress else None,
            descriptors=machine.descriptors,
            processors=processors_of(machine, limits.cpus, where.processor),
            processes=own.pids if own and "pids" not in machine.delegated.controllers else None,
            disk=machine.disk,
            compiled=machine.runtime.kind == "crun",
        ),
    )
    (place / "config.json").write_text(json.dumps(config))
    disk = directory / "disk"
    make_anew(disk / "work")
    return replace(
        instructions_of(spec, command, disk, log),
        container=ContainerPlan(
            runtime=machine.runtime,
            config=str(place / "config.json"),
            cgroup=where.cgroup,
            root=root_plan(machine, spec, disk, where.first_id, limits.memory_bytes),
            own=own,
        ),
        egress=egress,
    )


def _ids(given: GivenIds | None, first_id: int) -> tuple[IdRange, ...]:
    if given is None:
        return (IdRange(0, first_id, _spec.IDS),)
    # The build user is the service's own: see docs/rootless.md. Root of the sandbox owns what the runtime makes.
    build_user = IdRange(_spec.BUILD_USER, 0, 1)
    return (IdRange(0, first_id, 1), build_user) if given.length else (build_user,)


def _own_limits(machine: Machine, limits: Limits, where: SandboxPlace) -> OwnLimits:
    return OwnLimits(
        memory_bytes=limits.memory_bytes,
        pids=min(limits.pids, machine.processes),
        cpus=limits.cpus,
        processors=processors_of(machine, limits.cpus, where.processor),
        groups=where.groups,
    )


def _limited_disk(settings: Settings) -> tuple[BlockDevice, int] | None:
    if settings.disk_io_bytes is None:
        return None
    device = block_device_of(settings.data_dir)
    if device is None:
        raise ExecutorUnavailable(
            f"HEADRACE_DISK_IO_BYTES can't be kept: {settings.data_dir} is not on a disk of this machine",
            hint="put the data directory on a disk, or unset HEADRACE_DISK_IO_BYTES",
        )
    return device, settings.disk_io_bytes


def root_plan(machine: Machine, spec: SandboxSpec, disk: Path, first_id: int, memory_bytes: int) -> RootPlan:
    tmp_bytes = memory_bytes // _TMP_SHARE
    if missing := next((layer for layer in spec.layers if not layer.is_dir()), None):
        raise ExecutorUnavailable(f"a layer of the sandbox {spec.id} is not there: {missing}")
    as_root = machine.ground.given is None
    return RootPlan(
        base=str(machine.base),
        layers=[str(layer) for layer in spec.layers],
        disk=str(disk),
        tools={_spec.mount_point(mount): str(mount.source) for mount in spec.mounts},
        ca_bundle=machine.ca_bundle,
        stage=machine.ground.stage,
        owner=(os.geteuid(), os.getegid()) if as_root else None,
        first_id=first_id,
        root_user=first_id,
        build_user=first_id + _spec.BUILD_USER if as_root else 0,
        working_directory=WORKING_DIRECTORY,
        home=_spec.HOME,
        tmp_bytes=tmp_bytes,
        tmp_files=_spec.files_in_memory(tmp_bytes),
    )


def egress_of(machine: Machine, command: SandboxCommand, place: Path) -> EgressPlan | None:
    egress = command.egress
    phase = egress.phase
    if phase is NetworkPhase.NONE:
        return None
    hosts = list(egress.hosts)
    if phase in (NetworkPhase.REGISTRIES, NetworkPhase.INTERNET):
        hosts.append(machine.registry)
    return EgressPlan(
        phase=phase,
        hosts=hosts,
        bytes=egress.bytes,
        upload_bytes=egress.upload_bytes,
        connections=egress.connections,
        directory=str(place),
        front=_front(egress.registry, machine.ca_bundle) if egress.registry else None,
    )


def _front(own: OwnRegistry, bundle: str | None) -> list[str]:
    plan = [own.registry, str(own.given.resolve()), str(own.aside.resolve())]
    return [*plan, bundle] if bundle else plan


def processors_wanted(cpus: float) -> int:
    """How many processors a sandbox sees that may use so much of them."""
    return max(1, -int(-cpus // 1))


def processors_of(machine: Machine, cpus: float, start: int) -> tuple[int, ...]:
    """
    The processors of a sandbox that gets fewer than there are, from the one with number `start` on: programs that count them
    start as many threads as can run, and others have the rest.
    """
    wanted = processors_wanted(cpus)
    if wanted >= len(machine.processors):
        return ()
    start %= len(machine.processors)
    doubled = machine.processors * 2
    return tuple(sorted(doubled[start : start + wanted]))


def _offers(controller: str) -> bool:
    """Whether control groups version 2 have this controller here."""
    try:
        return controller in Path("/sys/fs/cgroup/cgroup.controllers").read_text().split()
    except OSError:
        return False


def _most_processes() -> int:
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    return sys.maxsize if most == resource.RLIM_INFINITY else most
