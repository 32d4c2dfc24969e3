"""Which engine there is on this machine, and what it can give."""

import json
import os
from contextlib import suppress
from pathlib import Path

from headrace.errors import ExecutorUnavailable
from headrace.executor._daemon_api import DaemonApi, DaemonError
from headrace.executor._daemon_plan import Daemon
from headrace.executor._instructions import write_aside
from headrace.executor._mounts import STAGE
from headrace.executor._seccomp import profile
from headrace.model.sandbox import Finding
from headrace.settings import Settings

#: Where engines listen: Docker's, then Podman's for root.
SOCKETS = ("/run/docker.sock", "/run/podman/podman.sock")


def socket_of(settings: Settings) -> str:
    """Raises ExecutorUnavailable for an engine of another machine."""
    asked = settings.docker_host
    if asked is None:
        return next((path for path in SOCKETS if Path(path).is_socket()), SOCKETS[0])
    path = asked.removeprefix("unix://")
    if not path.startswith("/"):
        raise ExecutorUnavailable(
            f"HEADRACE_DOCKER_HOST is {asked}: sandboxes need an engine of this machine",
            hint="set it to the path of a Unix socket, such as /run/docker.sock",
        )
    return path


def find_daemon(settings: Settings, root: Path) -> Daemon:
    """Also makes `root`, the place of sandboxes. Raises ExecutorUnavailable, which says what is missing."""
    if os.geteuid() != 0:
        raise ExecutorUnavailable(
            "sandboxes in containers need root here too: without it, nothing may be mounted into them",
            hint="run Headrace as root (sudo), or set HEADRACE_EXECUTOR=process for code that you trust",
        )
    api = DaemonApi(path := socket_of(settings))
    try:
        about = api.about()
        remapped = any("name=userns" in option for option in api.information().get("SecurityOptions") or ())
    except DaemonError as exc:
        raise ExecutorUnavailable(
            f"no container engine answers: {exc}",
            hint=f"start Docker (`systemctl start docker`) or Podman's service (`podman system service -t 0 unix://{path}`)",
        ) from exc
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    Path(STAGE).mkdir(exist_ok=True, mode=0o711)
    write_aside(root / ".seccomp.json", json.dumps(profile()).encode())
    return Daemon(
        socket=path,
        api=about.api,
        kind=about.kind,
        version=about.version,
        own_ids=about.kind == "podman" and _has_ids_for_containers(),
        shared_ids=about.kind == "docker" and remapped,
        profile=str(root / ".seccomp.json"),
    )


def _has_ids_for_containers() -> bool:
    """Whether Podman may give each container ids of its own: `containers` is how it calls itself there."""
    with suppress(OSError):
        return all(
            any(line.startswith("containers:") for line in Path(path).read_text().splitlines())
            for path in ("/etc/subuid", "/etc/subgid")
        )
    return False


def daemon_findings(daemon: Daemon) -> list[Finding]:
    """What `headrace doctor` says of it."""
    said = f"{daemon.kind} {daemon.version} at {daemon.socket}"
    return [Finding(subject="container engine", status="ok", detail=said), _ids(daemon)]


def _ids(daemon: Daemon) -> Finding:
    if daemon.own_ids:
        return Finding(subject="user namespaces", status="ok", detail="every container has ids of its own")
    if daemon.kind == "podman":
        detail, fix = (
            "Podman has no ids to give",
            "echo containers:2147483648:1000000000 | tee -a /etc/subuid /etc/subgid",
        )
    elif daemon.shared_ids:
        detail, fix = "all containers have the same ids, as Docker does it", "HEADRACE_EXECUTOR=oci"
    else:
        detail, fix = "ids in containers are the machine's", "dockerd --userns-remap=default, or HEADRACE_EXECUTOR=oci"
    return Finding(subject="user namespaces", status="warning", detail=detail, fix=fix)
