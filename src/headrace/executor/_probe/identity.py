"""H1 to H13: who a command is, which namespaces it is in, and what it was handed."""

import os
import socket
import stat
from pathlib import Path

from headrace.executor._probe.attempt import REFUSED, Seen, call, mounts, status, tried
from headrace.executor._probe.given import Given

_SOCKETS = (
    "run/docker.sock run/podman/podman.sock run/containerd/containerd.sock run/crio/crio.sock "
    "run/buildkit/buildkitd.sock var/run/docker.sock run/dbus/system_bus_socket run/systemd/private "
    "run/systemd/notify run/snapd.socket"
).split()
_ENGINE_VARIABLES = ("DOCKER_HOST", "CONTAINER_HOST", "CONTAINERD_ADDRESS", "KUBERNETES_SERVICE_HOST")
#: A shell sets the first three, Python the last.
_OF_INTERPRETERS = {"PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}
_CAPABILITIES = ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")
#: The first ids of a machine are those of people and services.
_FIRST_FREE_ID = 65_536


def no_engine(given: Given) -> Seen:
    found = [f"/{path}" for path in _SOCKETS if Path("/", path).exists()]
    found += [name for name in _ENGINE_VARIABLES if name in os.environ]
    for place in ("/run", "/var/run"):
        for folder, _, names in os.walk(place):
            found += [path for name in names if stat.S_ISSOCK(os.lstat(path := f"{folder}/{name}").st_mode)]
    return Seen(not found, sorted(set(found)))


def own_processes(given: Given) -> Seen:
    processes = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    numbers = status("NSpid").split()
    first = tried(lambda: os.readlink("/proc/1/exe")) if os.getpid() != 1 else "itself"
    seen = {"processes": processes, "namespaces seen": len(numbers), "/proc/1/exe": first}
    return Seen(len(numbers) == 1 and len(processes) <= 3 and _differs(given, "pid"), seen)


def minimal_mounts(given: Given) -> Seen:
    unexpected = []
    for point, options, kind in mounts():
        below = any(point.startswith(allowed) for allowed in given.mounts if allowed.endswith("/"))
        if point not in given.mounts and not below:
            unexpected.append(f"{point} ({kind})")
        if any(option.startswith("shared:") for option in options):
            unexpected.append(f"{point} is shared")
    return Seen(not unexpected and _differs(given, "mnt"), unexpected or f"{len(mounts())} mounts, all known")


def own_host_name(given: Given) -> Seen:
    came = call("sethostname", b"x", 1)
    seen = {"name": socket.gethostname(), "changing it": came}
    return Seen(seen["name"] == given.hostname and came in REFUSED and _differs(given, "uts"), seen)


def own_shared_memory(given: Given) -> Seen:
    segments = Path("/proc/sysvipc/shm").read_text().splitlines()[1:] if Path("/proc/sysvipc/shm").exists() else []
    files = os.listdir("/dev/shm") if Path("/dev/shm").exists() else []
    queues = os.listdir("/dev/mqueue") if Path("/dev/mqueue").exists() else []
    seen = {"segments": len(segments), "/dev/shm": files, "/dev/mqueue": queues}
    return Seen(not segments and not files and not queues and _differs(given, "ipc"), seen)


def own_control_group(given: Given) -> Seen:
    paths = {line.split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines()}
    writes = {
        path: came
        for path in ("/sys/fs/cgroup/x", "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory/x")
        if (came := tried(lambda p=path: Path(p).write_text("1"))) == "done"  # type: ignore[misc]
    }
    return Seen(
        paths <= {"/"} and not writes and _differs(given, "cgroup"), {"paths": sorted(paths), "written": writes}
    )


def own_ids(given: Given) -> Seen:
    """Whether our user is nobody else on this machine: no user of it, and no user of another sandbox."""
    user = os.getuid()
    ranges = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    outside = next((out + user - inside for inside, out, size in ranges if inside <= user < inside + size), None)
    seen: dict[str, object] = {"map": ranges, "our user is": outside}
    holds = outside is not None and outside >= _FIRST_FREE_ID and _differs(given, "user")
    if given.planted.ids:
        first, size = given.planted.ids
        seen["another sandbox has"] = f"{first} to {first + size - 1}"
        holds = holds and not any(out < first + size and first < out + many for _, out, many in ranges)
    return Seen(holds, seen)


def nobody_with_rights(given: Given) -> Seen:
    became = {"setuid": tried(lambda: os.setuid(0)), "setgid": tried(lambda: os.setgid(0))}
    found = []
    for top in sorted(os.listdir("/")):
        if top in ("proc", "sys", "dev"):
            continue
        for folder, _, names in os.walk(f"/{top}"):
            for name in names:
                about = os.lstat(f"{folder}/{name}")
                if stat.S_ISREG(about.st_mode) and about.st_mode & (stat.S_ISUID | stat.S_ISGID):
                    found.append(f"{folder}/{name}")
    # Files that would lift whoever runs them are no way up where mounts say nosuid and no new privileges are given.
    useless = status("NoNewPrivs") == "1" and all("nosuid" in options for _, options, _ in mounts())
    # EINVAL: in this namespace there is no root to become.
    holds = os.getuid() != 0 and set(became.values()) <= REFUSED | {"EINVAL"} and (not found or useless)
    return Seen(holds, {"user": os.getuid(), **became, "set-user-id files": found[:10]})


def no_new_privileges(given: Given) -> Seen:
    return Seen(status("NoNewPrivs") == "1", status("NoNewPrivs"))


def no_capabilities(given: Given) -> Seen:
    found = {name: status(name) for name in _CAPABILITIES}
    return Seen(all(int(value, 16) == 0 for value in found.values()), found)


def no_descriptors(given: Given) -> Seen:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            mode = os.fstat(int(name)).st_mode
        except OSError:
            continue  # the one that listed
        if int(name) > 2 or stat.S_ISDIR(mode):
            found[name] = os.readlink(f"/proc/self/fd/{name}")
    return Seen(not found, found or "0, 1 and 2")


def declared_environment(given: Given) -> Seen:
    undeclared = sorted(set(os.environ) - set(given.environment) - _OF_INTERPRETERS)
    first = tried(lambda: Path("/proc/1/environ").read_bytes()) if os.getpid() != 1 else "itself"
    return Seen(not undeclared and first in REFUSED | {"itself"}, {"undeclared": undeclared, "/proc/1/environ": first})


def filtered_calls(given: Given) -> Seen:
    return Seen(status("Seccomp") == "2", status("Seccomp"))


def _differs(given: Given, kind: str) -> bool:
    """Whether this namespace is another one than the machine's."""
    return os.readlink(f"/proc/self/ns/{kind}") != given.planted.namespaces.get(kind)


PROBES = {
    "H1": no_engine,
    "H2": own_processes,
    "H3": minimal_mounts,
    "H4": own_host_name,
    "H5": own_shared_memory,
    "H6": own_control_group,
    "H7": own_ids,
    "H8": nobody_with_rights,
    "H9": no_new_privileges,
    "H10": no_capabilities,
    "H11": no_descriptors,
    "H12": declared_environment,
    "H13": filtered_calls,
}
