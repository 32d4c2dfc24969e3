"""
One command of a sandbox as a container that Docker or Podman is asked for, and what makes it a sandbox afterwards.

An allowlist, as `_spec`: every field is written here. The command and its variables are not among them, because a daemon
keeps on its disk what it is told, and shows it to everybody who may ask it.
"""

import json
import resource
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from headrace.executor import _spec
from headrace.executor._container_plan import Machine, egress_of, processors_of, root_plan
from headrace.executor._daemon_engine import IO
from headrace.executor._every_command import instructions_of
from headrace.executor._instructions import DaemonPlan, Instructions
from headrace.executor._overlay import make_anew
from headrace.executor._sandbox_directory import Allotted
from headrace.executor._seccomp import profile
from headrace.model.limits import Limits
from headrace.model.sandbox import WORKING_DIRECTORY, SandboxCommand, SandboxSpec

#: The first process: see `_spec.INIT`. It opens what the supervisor has laid out, says so, and waits for the command; a
#: line break is no part of the line that it gets.
SCRIPT = (
    f"n='\n'; cd / && exec 3>{IO}/control 4<{IO}/go >{IO}/stdout 2>{IO}/stderr && echo ready >&3 || exit; "
    "IFS= read -r line <&4 || exit; exec 5>&2 2>/dev/null; "
    '(exec 2>&5 3>&- 4<&- 5>&-; eval "$line"); echo $? >&3; read -r line <&4'
)

#: Which data directory a container belongs to, and which of its sandboxes.
OWNER_LABEL, SANDBOX_LABEL = "headrace.owner", "headrace.sandbox"
#: See `_spec.MOUNTS`.
MOUNTS = {**_spec.MOUNTS, "/etc/passwd": ("ro",), "/etc/group": ("ro",), "/etc/hosts": ("ro",)}
_PROCESSES = 32_768


class Daemon(NamedTuple):
    """What is the same for all sandboxes of one daemon."""

    socket: str
    api: str
    #: `docker` or `podman`.
    kind: str
    version: str
    #: Every container gets ids of its own from the daemon.
    own_ids: bool
    #: The daemon gives all containers the same ids, which are not the machine's.
    shared_ids: bool
    #: The seccomp profile as a file, for a daemon that reads files.
    profile: str


def build_user(daemon: Daemon, first_id: int) -> int:
    """
    The build user's id in the container. Where ids in the container are the machine's, or another container's, each sandbox
    has another user, so that none may touch another's processes.
    """
    if daemon.own_ids:
        return _spec.BUILD_USER
    return 10_000 + first_id // _spec.IDS % 50_000 if daemon.shared_ids else first_id + _spec.BUILD_USER


def daemon_instructions(
    machine: Machine,
    daemon: Daemon,
    image: str,
    owner: str,
    spec: SandboxSpec,
    command: SandboxCommand,
    place: Path,
    log: Path,
    own: Allotted,
) -> Instructions:
    """Also writes files for the container to `place`, the command's directory. Raises ExecutorUnavailable for what can't be."""
    directory, limits = place.parents[1], command.limits
    disk, user = directory / "disk", build_user(daemon, own.first_id)
    egress = egress_of(machine, command, place)
    labels = {OWNER_LABEL: owner, SANDBOX_LABEL: spec.id}
    make_anew(disk / "work")
    return replace(
        instructions_of(spec, command, disk, log),
        daemon=DaemonPlan(
            socket=daemon.socket,
            api=daemon.api,
            container=f"headrace-{owner}-{spec.id}.{command.index}",
            config=_config(machine, daemon, image, labels, command, place, user, own.processor),
            line=shell_line(command, _spec.environment(command, proxy=egress is not None)),
            root=root_plan(machine, spec, disk, own.first_id, limits.memory_bytes),
            user=user,
            files=_files(place, user),
            masked=list(_spec.MASKED),
            shared_bytes=_spec.shared_memory(limits),
            shared_files=_spec.files_in_memory(_spec.shared_memory(limits)),
        ),
        egress=egress,
    )


def shell_line(command: SandboxCommand, env: Mapping[str, str]) -> str:
    """What the first process evaluates: it becomes the command, with these variables and no other."""
    words = [*(f"{name}={value}" for name, value in env.items()), *command.argv]
    quoted = " ".join(shlex.quote(word).replace("\n", "'\"$n\"'") for word in words)
    return f"cd {shlex.quote(command.directory)} && exec env -i {quoted}"


def _files(place: Path, user: int) -> dict[str, str]:
    """Who is who in the container, whatever its image thinks, and which addresses are its own."""
    texts = {
        "passwd": f"root:x:0:0:root:/root:/usr/sbin/nologin\nbuilder:x:{user}:{user}:builder:{_spec.HOME}:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        "group": f"root:x:0:\nbuilder:x:{user}:\nnogroup:x:65534:\n",
        "hosts": f"127.0.0.1 localhost {_spec.HOSTNAME}\n",
    }
    for name, text in texts.items():
        (place / name).write_text(text)
        (place / name).chmod(0o644)
    return {f"/etc/{name}": str(place / name) for name in texts}


def _config(
    machine: Machine,
    daemon: Daemon,
    image: str,
    labels: Mapping[str, str],
    command: SandboxCommand,
    place: Path,
    user: int,
    processor: int,
) -> dict[str, Any]:
    host: dict[str, Any] = {
        "NetworkMode": "none",
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", f"seccomp={_profile(daemon)}"],
        "MaskedPaths": list(_spec.MASKED),
        "ReadonlyPaths": list(_spec.READ_ONLY),
        "Binds": [f"{place / 'io'}:{IO}:ro"],
        # What it prints goes to us.
        "LogConfig": {"Type": "none", "Config": {}},
        # Builds die first when the machine runs out of memory.
        "OomScoreAdj": 500,
        **_resources(machine, command.limits, processor),
    }
    if daemon.own_ids:
        host["UsernsMode"] = f"auto:size={_spec.IDS}"
    return {
        "Image": image,
        "Hostname": _spec.HOSTNAME,
        "User": f"{user}:{user}",
        "WorkingDir": "/",
        "Env": [],
        "Entrypoint": [_spec.INIT],
        "Cmd": ["-c", SCRIPT],
        "Labels": dict(labels),
        "HostConfig": host,
    }


def _profile(daemon: Daemon) -> str:
    return daemon.profile if daemon.kind == "podman" else json.dumps(profile(), separators=(",", ":"))


def _resources(machine: Machine, limits: Limits, processor: int) -> dict[str, Any]:
    processors = processors_of(machine, limits.cpus, processor)
    found: dict[str, Any] = {
        # Memory and swap together: equal numbers mean that there is none.
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,
        "PidsLimit": limits.pids,
        "CpuPeriod": _spec.CPU_PERIOD,
        "CpuQuota": max(1000, int(limits.cpus * _spec.CPU_PERIOD)),
        "Ulimits": ulimits(_spec.rlimits(limits, machine.descriptors)),
    }
    if machine.disk:
        device, rate = machine.disk
        limit = [{"Path": device.path(), "Rate": rate}]
        found |= {"BlkioDeviceReadBps": limit, "BlkioDeviceWriteBps": limit}
    if processors:
        found["CpusetCpus"] = ",".join(map(str, processors))
    return found


def ulimits(values: Mapping[str, int]) -> list[dict[str, Any]]:
    """These limits and one of a user's processes: Podman would ask for more than a service may that can't raise limits."""
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    most = _PROCESSES if hard == resource.RLIM_INFINITY else min(_PROCESSES, hard)
    return [{"Name": name.lower(), "Soft": value, "Hard": value} for name, value in {**values, "NPROC": most}.items()]


def skeleton(root: Path) -> Path:
    """Places where a sandbox's mounts are put together before they go into a container."""
    made = root / ".skeleton"
    bundle = made / _spec.CA_BUNDLE.lstrip("/")
    for path in (WORKING_DIRECTORY, _spec.HOME, str(_spec.TOOLS), "/tmp"):
        (made / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.touch()
    return made
