"""H26 to H35: what can be read and written, and devices."""

import errno
import os
import resource
import signal
import stat
from contextlib import suppress
from pathlib import Path

from headrace.executor._probe.attempt import Seen, all_refused, call, mounts, tried
from headrace.executor._probe.given import Given

_NOT_WRITABLE = frozenset({"EROFS", "EACCES", "EPERM", "ENOENT", "ENOTDIR"})
_MASKED = (
    "acpi asound config.gz interrupts kallsyms kcore key-users keys kpagecgroup kpagecount kpageflags latency_stats "
    "modules sched_debug scsi slabinfo timer_list timer_stats vmallocinfo"
).split()
_DEVICES = frozenset(
    "console core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
)
_DANGEROUS = (
    "cuse fuse kmem kmsg kvm loop-control loop0 mem mapper/control net/tun port sda vda nvme0n1 vhost-net vhost-vsock"
).split()
_PIECE = b"\0" * 2**20


def root_is_read_only(given: Given) -> Seen:
    places = ("/", "/usr/bin", "/etc", "/lib", "/opt", "/var")
    found = {place: tried(lambda p=place: Path(p, "headrace-probe").write_text("x")) for place in places}  # type: ignore[misc]
    writable = {
        p: "mounted to be written" for p in places if Path(p).is_dir() and not os.statvfs(p).f_flag & os.ST_RDONLY
    }
    return all_refused({**found, **writable}, {"EROFS", "ENOENT"})


def kernel_is_hidden(given: Given) -> Seen:
    """Not there, not to be read, or empty."""
    found = {}
    for name in _MASKED:
        path = Path("/proc", name)
        with suppress(OSError):
            if shown := sorted(os.listdir(path)) if path.is_dir() else len(_first_bytes(path)):
                found[f"/proc/{name}"] = shown
    return Seen(not found, found or "hidden")


def kernel_is_not_set(given: Given) -> Seen:
    paths = ["sys/kernel/core_pattern", "sys/net/ipv4/ip_forward", "sys/vm/drop_caches", "sysrq-trigger"]
    if interrupts := [name for name in _names("/proc/irq") if name.isdigit()]:
        paths.append(f"irq/{interrupts[0]}/smp_affinity")
    found = {f"/proc/{path}": tried(lambda p=path: os.close(os.open(f"/proc/{p}", os.O_WRONLY))) for path in paths}  # type: ignore[misc]
    return all_refused(found, _NOT_WRITABLE)


def no_devices_of_the_kernel(given: Given) -> Seen:
    """No /sys, or one that can't be written and whose dangerous parts are hidden."""
    if not _names("/sys"):
        return Seen(True, "there is no /sys")
    shown = {path: names for path in ("/sys/firmware", "/sys/kernel/debug") if (names := _names(path))}
    read_only = bool(os.statvfs("/sys").f_flag & os.ST_RDONLY)
    return Seen(read_only and not shown, {"read-only": read_only, "shown": shown})


def few_devices(given: Given) -> Seen:
    strange = dict.fromkeys(set(_names("/dev")) - _DEVICES, "there")
    found = {name: tried(lambda n=name: os.close(os.open(f"/dev/{n}", os.O_RDWR))) for name in _DANGEROUS}  # type: ignore[misc]
    return all_refused({**strange, **found}, {"ENOENT", "ENOTDIR"})


def mount_options(given: Given) -> Seen:
    lacking = {}
    for point, options, kind in mounts():
        if point.startswith(("/proc/", "/dev/")) and point not in given.mounts:
            continue  # a mask over a part of what is mounted there, or one of the devices
        wanted = {"nosuid", *given.mounts.get(point, ())}
        if kind != "devpts" and point != "/dev":
            wanted.add("nodev")
        if missing := wanted - options:
            lacking[point] = sorted(missing)
    return Seen(not lacking, lacking or f"{len(mounts())} mounts")


def limited_disk(given: Given) -> Seen:
    """What the kernel itself limits. The rest of the quota is a deed: see `_prove`."""
    seen: dict[str, object] = {}
    holds = True
    for place in ("/tmp", "/dev/shm"):
        if not Path(place).is_dir() or not os.access(place, os.W_OK):
            continue
        filled, end = _fill(Path(place), given.limits.memory_bytes)
        made, last = _make_files(Path(place), 200_000)
        seen[place] = {"bytes": filled, "then": end, "files": made, "and then": last}
        holds = holds and end == "ENOSPC" and last == "ENOSPC"
    largest = resource.getrlimit(resource.RLIMIT_FSIZE)
    seen["largest file"], seen["fallocate"] = largest[1], _allocate()
    # Space that is taken without being written could be taken faster than anybody looks.
    holds = holds and max(largest) <= given.limits.disk_bytes and seen["fallocate"] != "done"
    return Seen(holds, seen)


def nothing_shared(given: Given) -> Seen:
    places = writable_places()
    shared = [where for where, number in places.items() if number in given.planted.places]
    return Seen(not shared, shared or places)


def nothing_left(given: Given) -> Seen:
    """Of a sandbox that is open at this moment, which is nearer than one that is gone."""
    found = [f"{place}/{given.planted.mark}" for place in writable_places() if given.planted.mark in _names(place)]
    strangers = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in (1, os.getpid())]
    return Seen(not found and len(strangers) <= 1, {"files": found, "processes": strangers})


def no_core_dumps(given: Given) -> Seen:
    """
    A crash leaves no file and starts nothing outside: with a limit of 1 byte the kernel gives neither to a file nor to a program.
    0 would not keep a program from being started, so it must not be possible to go there.
    """
    limit = resource.getrlimit(resource.RLIMIT_CORE)
    lowered = tried(lambda: _limit_core(0, limit[1]))
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGSEGV)
        os._exit(0)
    dumped = os.WCOREDUMP(os.waitpid(pid, 0)[1])
    seen = {"limit": limit, "setting it to 0": lowered, "a crash left a core": dumped}
    return Seen(limit == (1, 1) and lowered != "done" and not dumped, seen)


def _limit_core(soft: int, hard: int) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    except ValueError as exc:  # what Python makes of EPERM
        raise PermissionError(errno.EPERM, str(exc)) from exc


def writable_places() -> dict[str, str]:
    """Mount points that can be written, with their device and inode numbers."""
    found = {}
    for point, _, kind in mounts():
        if kind in ("proc", "sysfs", "devpts") or not os.access(point, os.W_OK):
            continue
        about = os.stat(point)
        if stat.S_ISDIR(about.st_mode):
            found[point] = f"{about.st_dev}:{about.st_ino}"
    return found


def _names(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def _first_bytes(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(descriptor, 64)
    finally:
        os.close(descriptor)


def _fill(place: Path, most: int) -> tuple[int, str]:
    """How many bytes went into `place`, and what the end was."""
    directory = place / "headrace-probe-fill"
    directory.mkdir()
    written = 0
    try:
        while written < most:
            with (directory / str(written)).open("wb", buffering=0) as file:
                for _ in range(16):
                    written += file.write(_PIECE)
    except OSError as exc:
        return written, errno.errorcode.get(exc.errno or 0, str(exc))
    finally:
        _remove(directory)
    return written, "no end"


def _make_files(place: Path, most: int) -> tuple[int, str]:
    directory = place / "headrace-probe-files"
    directory.mkdir()
    made = 0
    try:
        while made < most:
            os.close(os.open(directory / str(made), os.O_CREAT | os.O_WRONLY))
            made += 1
    except OSError as exc:
        return made, errno.errorcode.get(exc.errno or 0, str(exc))
    finally:
        _remove(directory)
    return made, "no end"


def _remove(directory: Path) -> None:
    for name in os.listdir(directory):
        os.unlink(directory / name)
    directory.rmdir()


def _allocate() -> str:
    path = Path("headrace-probe-allocated")
    with path.open("wb") as file:
        came = call("fallocate", file.fileno(), 0, 0, 4096)
    path.unlink()
    return came


PROBES = {
    "H26": root_is_read_only,
    "H27": kernel_is_hidden,
    "H28": kernel_is_not_set,
    "H29": no_devices_of_the_kernel,
    "H30": few_devices,
    "H31": mount_options,
    "H32": limited_disk,
    "H33": nothing_shared,
    "H34": nothing_left,
    "H35": no_core_dumps,
}
