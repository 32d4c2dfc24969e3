"""Calls of an OCI runtime: argv as data, and starting it with the descriptors a container gets."""

import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from headrace import linux
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


def run_argv(runtime: Runtime, state: str, bundle: str, container: str, *, groups: bool = True) -> list[str]:
    """
    Start and leave: the supervisor adopts the container's first process and needs nobody between. Descriptor 3 goes to
    the first process. Without `groups` the container stays in the control groups that the runtime is in.
    """
    common = [runtime.path, "--root", state, "--log", f"{bundle}/runtime.log", "--log-format", "json"]
    if not groups and runtime.kind == "crun":  # runc makes none when it is told of none
        common.append("--cgroup-manager=disabled")
    return [
        *common,
        "run",
        "--detach",
        "--bundle",
        bundle,
        "--pid-file",
        f"{bundle}/pid",
        "--preserve-fds",
        "1",
        container,
    ]


def hidden_mount(runtime: Runtime) -> str | None:
    """
    The mount that a runtime must not see. crun refuses a machine with both versions of control groups, though it works
    with version 1 alone, so it is run where the other one isn't mounted.
    """
    mounts = cgroup_mounts()
    if runtime.kind != "crun" or not any(m.controllers for m in mounts):
        return None
    return next((m.path for m in mounts if not m.controllers), None)


def spawn(argv: list[str], stdout: int, stderr: int, control: int, prepare: Callable[[], None]) -> int:
    """
    Start `argv` with these descriptors, nothing as stdin and `control` as descriptor 3. It ends when we do. `prepare` is
    called in its process.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setpgid(0, 0)
        linux.die_with_parent(signal.SIGKILL)
        prepare()
        nothing = os.open("/dev/null", os.O_RDONLY)
        # Above 9 first, so that none of the four is overwritten before it is in its place.
        descriptors = (nothing, stdout, stderr, control)
        for number, descriptor in enumerate([fcntl.fcntl(d, fcntl.F_DUPFD_CLOEXEC, 10) for d in descriptors]):
            os.dup2(descriptor, number)
        os.execve(argv[0], argv, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "XDG_RUNTIME_DIR": "/run"})
    finally:
        os._exit(127)


def container_pid(bundle: str) -> int:
    return int(Path(bundle, "pid").read_text())
