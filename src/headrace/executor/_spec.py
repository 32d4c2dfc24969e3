"""
A sandbox and a command as a container's configuration. Pure, and an allowlist: every field is written here, and no
value of a project becomes an option of the runtime.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import PurePosixPath
from typing import NamedTuple

from headrace.errors import ExecutorUnavailable
from headrace.executor._block_device import BlockDevice
from headrace.executor._filter import compiled
from headrace.executor._seccomp import profile
from headrace.linux import IdRange
from headrace.model.limits import MIB, Limits
from headrace.model.sandbox import WORKING_DIRECTORY, SandboxCommand, SandboxMount

BUILD_USER = 1000
HOME = "/home/builder"
HOSTNAME = "sandbox"
TOOLS = PurePosixPath("/opt/headrace")
#: Ids that a sandbox may use. Each sandbox has other ones of the machine, so that none can touch another's processes.
IDS = 65536
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
PROXY_PORT = 3128

CPU_PERIOD = 100_000
FILE_DESCRIPTORS = 65_536
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: The first process. It starts the command, reaps orphans, says how the command ended and waits to be killed, so that what
#: still runs can be counted. The command gets none of its descriptors. A shell, because it starts in half a millisecond.
INIT = "/usr/lib/headrace/init"
_INIT_SCRIPT = 'exec 4>&2 2>/dev/null; (exec 2>&4 3>&- 4>&-; exec "$@"); echo $? >&3; read -r _ <&3'


class Place(NamedTuple):
    """What the machine decides about one sandbox."""

    #: Its ids, and what they are where its supervisor is.
    ids: tuple[IdRange, ...]
    root: str
    #: None when its supervisor sees to the limits, because the runtime has no right to.
    cgroup: str | None
    #: Path of the network namespace, when one was prepared; else the runtime makes an empty one.
    network: str | None = None
    #: Descriptors that a process of this service may have at most: a sandbox can't have more.
    descriptors: int = 65_536
    #: The processors that the sandbox sees and uses; empty for all.
    processors: tuple[int, ...] = ()
    #: Processes that the build user may have at most, where no control group counts them.
    processes: int | None = None
    #: The disk whose traffic is limited, and bytes a second in each direction.
    disk: tuple[BlockDevice, int] | None = None
    #: Whether its runtime takes a filter of system calls that is compiled already.
    compiled: bool = False


def environment(command: SandboxCommand, *, proxy: bool) -> dict[str, str]:
    """The whole environment of a command: what it declares over what every sandbox has."""
    own = {
        "HOME": HOME,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": "/tmp",
        "USER": "builder",
        "LOGNAME": "builder",
    }
    own |= {"SSL_CERT_FILE": CA_BUNDLE, "NODE_EXTRA_CA_CERTS": CA_BUNDLE, "GIT_SSL_CAINFO": CA_BUNDLE}
    if proxy:
        address = f"http://127.0.0.1:{PROXY_PORT}"
        own |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), address)
        # Yarn 2 and later has a client of its own that reads nothing else.
        own |= dict.fromkeys(("YARN_HTTP_PROXY", "YARN_HTTPS_PROXY"), address)
        own |= dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1")
        # Without it, fetch() of Node takes no notice of proxies.
        own["NODE_USE_ENV_PROXY"] = "1"
    return own | command.env


def init_argv(command: SandboxCommand, env: Mapping[str, str]) -> list[str]:
    """The command behind the first process. A shell drops variables with names it can't have, so `env` adds those."""
    odd = [f"{name}={value}" for name, value in env.items() if not _ENV_NAME.fullmatch(name)]
    return [INIT, "-c", _INIT_SCRIPT, "init", *(["/usr/bin/env", *odd] if odd else []), *command.argv]


def mount_point(mount: SandboxMount) -> str:
    """Name of a tool's directory below `TOOLS`. Nothing may be mounted elsewhere."""
    target = PurePosixPath(mount.target)
    if target.parent != TOOLS or target.name in (".", ".."):
        raise ExecutorUnavailable(f"{mount.target}: a sandbox has mounts only in {TOOLS}")
    return target.name


def container(command: SandboxCommand, place: Place) -> dict[str, object]:
    """The `config.json` of a container that runs `command`."""
    env = environment(command, proxy=place.network is not None)
    pinned = place.cgroup is None and bool(place.processors)
    return {
        "ociVersion": "1.0.2",
        "hostname": HOSTNAME,
        "root": {"path": place.root, "readonly": True},
        "process": {
            "terminal": False,
            "user": {"uid": BUILD_USER, "gid": BUILD_USER, "umask": 0o022},
            "args": init_argv(command, env),
            "env": [f"{name}={value}" for name, value in env.items()],
            "cwd": command.directory,
            "noNewPrivileges": True,
            "capabilities": {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")},
            "rlimits": _rlimits(command.limits, place),
            # Builds die first when the machine runs out of memory.
            "oomScoreAdj": 500,
        },
        "mounts": _mounts(command.limits),
        "linux": {
            "uidMappings": _mappings(place.ids),
            "gidMappings": _mappings(place.ids),
            "namespaces": _namespaces(place.network),
            **_groups(command.limits, place),
            "seccomp": _profile(pinned=pinned),
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(READ_ONLY),
        },
        **({"annotations": _annotations(pinned=pinned)} if place.compiled else {}),
    }


#: What a sandbox has mounted, with the options that each must have; below /opt/headrace are tools, below /proc and /dev masks
#: and devices.
MOUNTS = {
    "/": ("ro",),
    WORKING_DIRECTORY: ("rw",),
    HOME: ("rw",),
    "/tmp": ("rw",),
    str(TOOLS): ("ro",),
    f"{TOOLS}/": ("ro",),
    CA_BUNDLE: ("ro",),
    "/proc": ("noexec",),
    "/proc/": (),
    "/dev": ("noexec",),
    "/dev/": (),
    "/dev/pts": ("noexec",),
    "/dev/shm": ("noexec",),
}

_profile = cache(profile)


@cache
def _annotations(*, pinned: bool) -> dict[str, str]:
    """The profile once more, as crun takes it compiled. A crun that doesn't know of this compiles the profile."""
    program = compiled(_profile(pinned=pinned))
    return {} if program is None else {"run.oci.seccomp_bpf_data": b64encode(program).decode()}


MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/config.gz",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/modules",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/slabinfo",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/vmallocinfo",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def _namespaces(network: str | None) -> Sequence[dict[str, str]]:
    made = [{"type": kind} for kind in ("user", "pid", "mount", "ipc", "uts", "cgroup")]
    return [*made, {"type": "network", "path": network} if network else {"type": "network"}]


def _mappings(ids: Sequence[IdRange]) -> list[dict[str, int]]:
    return [{"containerID": given.inside, "hostID": given.outside, "size": given.length} for given in ids]


def rlimits(limits: Limits, descriptors: int) -> dict[str, int]:
    """What one process may have, by the names that kernels know, without RLIMIT_."""
    return {
        # A byte is too little for a file, and the one number at which the kernel starts no program to take the core, where
        # core_pattern names one. With 0 it does. The filter keeps it from being changed.
        "CORE": 1,
        "NOFILE": min(descriptors, FILE_DESCRIPTORS),
        "FSIZE": limits.disk_bytes,
    }


def _rlimits(limits: Limits, place: Place) -> list[dict[str, object]]:
    values = rlimits(limits, place.descriptors)
    if place.processes is not None:
        # The kernel counts for each user namespace by itself, so this is the sandbox's own.
        values["NPROC"] = place.processes
    return [{"type": f"RLIMIT_{name}", "soft": value, "hard": value} for name, value in values.items()]


def _groups(limits: Limits, place: Place) -> dict[str, object]:
    if place.cgroup is None:
        return {}
    cpu: dict[str, object] = {"period": CPU_PERIOD, "quota": max(1000, int(limits.cpus * CPU_PERIOD))}
    if place.processors:
        cpu["cpus"] = ",".join(map(str, place.processors))
    resources = {
        "devices": [{"allow": False, "access": "rwm"}],
        # swap is memory and swap together: equal numbers mean that there is none.
        "memory": {"limit": limits.memory_bytes, "swap": limits.memory_bytes},
        "cpu": cpu,
        "pids": {"limit": limits.pids},
        **({"blockIO": _block_io(*place.disk)} if place.disk else {}),
    }
    return {"cgroupsPath": place.cgroup, "resources": resources}


def _block_io(device: BlockDevice, rate: int) -> dict[str, object]:
    limit = [{"major": device.major, "minor": device.minor, "rate": rate}]
    return {"throttleReadBpsDevice": limit, "throttleWriteBpsDevice": limit}


def _mounts(limits: Limits) -> list[dict[str, object]]:
    """Only what the runtime must make inside the namespaces; the rest of the root is ready when it starts."""
    shared = shared_memory(limits)
    return [
        _mount("/proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "nosuid", "noexec", "strictatime", "mode=755", "size=65536k"),
        _mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
        _mount(
            "/dev/shm",
            "tmpfs",
            "nosuid",
            "noexec",
            "nodev",
            "mode=1777",
            f"size={shared}",
            f"nr_inodes={files_in_memory(shared)}",
        ),
    ]


def shared_memory(limits: Limits) -> int:
    """The size of /dev/shm."""
    return min(64 * MIB, limits.memory_bytes // 8)


def files_in_memory(size: int) -> int:
    """How many files may be made in a place of `size` bytes: an empty one costs the kernel's memory too."""
    return size // 4096


def _mount(target: str, kind: str, *options: str) -> dict[str, object]:
    return {"destination": target, "type": kind, "source": kind, "options": list(options)}
