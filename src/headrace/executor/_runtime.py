"""Calls of an OCI runtime: argv as data."""

import select
from pathlib import Path
from typing import NamedTuple

from headrace.executor._cgroup import cgroup_mounts


class Runtime(NamedTuple):
    #: `runc` or `crun`; `docker` or `podman`, whose path is that of their socket.
    kind: str
    path: str


class ContainerFailed(Exception):
    """The runtime could not start the container. The message is the runtime's. `lost` when there is no runtime any more."""

    def __init__(self, message: str, *, lost: bool = False) -> None:
        super().__init__(message)
        self.lost = lost


def run_argv(runtime: Runtime, place: Path, container: str, *, groups: bool = True) -> list[str]:
    """
    Start and leave: the supervisor adopts the container's first process and needs nobody between. Descriptor 3 goes to
    the first process. Without `groups` the container stays in the control groups that the runtime is in.
    """
    common = [runtime.path, f"--root={place}/state", f"--log={place}/runtime.log", "--log-format=json"]
    if not groups and runtime.kind == "crun":  # runc makes none when it is told of none
        common.append("--cgroup-manager=disabled")
    options = ["--detach", f"--bundle={place}", f"--pid-file={place}/pid", "--preserve-fds=1"]
    return [*common, "run", *options, container]


def hidden_mount(runtime: Runtime) -> str | None:
    """
    The mount that a runtime must not see. crun refuses a machine with both versions of control groups, though it works
    with version 1 alone, so it is run where the other one isn't mounted.
    """
    mounts = cgroup_mounts()
    if runtime.kind != "crun" or not any(m.controllers for m in mounts):
        return None
    return next((m.path for m in mounts if not m.controllers), None)


def await_end(descriptor: int, seconds: float) -> bool:
    """Wait for the end of a process by its descriptor; whether it came."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(seconds * 1000))
