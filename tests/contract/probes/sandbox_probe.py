"""
Runs inside a sandbox and prints what it could do there, one JSON object: what was tried -> what came of it.

An error is given by its name, such as EPERM; a call that succeeded is "done". Needs nothing but Python.
"""

import ctypes
import errno
import json
import mmap
import os
import signal
import socket
import struct
from collections.abc import Callable
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
found: dict[str, object] = {}


def tried(name: str, attempt: Callable[[], object]) -> None:
    try:
        result = attempt()
        found[name] = "done" if result is None else result
    except OSError as exc:
        found[name] = errno.errorcode.get(exc.errno or 0, str(exc))


def call(name: str, number: int, *arguments: object) -> None:
    def attempt() -> None:
        if libc.syscall(number, *arguments) < 0:
            raise OSError(ctypes.get_errno(), name)

    tried(name, attempt)


def status(field: str) -> str:
    return next(
        line.split(":", 1)[1].strip()
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith(field + ":")
    )


def system_calls() -> None:
    new_user, new_mounts, new_net = 0x10000000, 0x20000, 0x40000000
    call("mount", 165, b"none", b"/tmp", b"tmpfs", 0, 0)
    call("umount2", 166, b"/tmp", 2)
    call("pivot_root", 155, b"/tmp", b"/tmp")
    call("fsopen", 430, b"tmpfs", 0)
    call("open_tree", 428, -100, b"/", 1)
    call("move_mount", 429, -1, b"", -100, b"/tmp", 4)
    call("mount_setattr", 442, -100, b"/", 0, 0, 0)
    for name, flag in (("user", new_user), ("mount", new_mounts), ("network", new_net)):
        call(f"unshare {name}", 272, flag)
    call("clone with a new user namespace", 56, new_user | 17, 0, 0, 0, 0)
    call("clone3", 435, 0, 0)
    call("setns", 308, -1, 0)
    call("bpf", 321, 0, 0, 0)
    call("perf_event_open", 298, 0, 0, -1, -1, 0)
    call("io_uring_setup", 425, 1, 0)
    call("userfaultfd", 323, 0)
    call("ptrace", 101, 0, 0, 0, 0)
    call("process_vm_readv", 310, 1, 0, 0, 0, 0, 0)
    call("pidfd_getfd", 438, 0, 0, 0)
    call("kcmp", 312, 1, 1, 0, 0, 0)
    call("add_key", 248, b"user", b"a", b"b", 1, -3)
    call("request_key", 249, b"user", b"a", 0, -3)
    call("keyctl", 250, 0, 0)
    call("reboot", 169, 0, 0, 0, 0)
    call("kexec_load", 246, 0, 0, 0, 0)
    call("init_module", 175, 0, 0, b"")
    call("swapon", 167, b"/tmp/x", 0)
    call("syslog", 103, 2, 0, 0)
    call("clock_settime", 227, 0, 0)
    call("open_by_handle_at", 304, -100, 0, 0)
    call("unknown", 9999)
    call("personality", 135, 0x40000)
    call("chroot", 161, b"/tmp")
    call("sethostname", 170, b"x", 1)
    tried("setuid", lambda: os.setuid(0))
    tried("mknod", lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(254, 0)))
    in_child("mount by int 0x80", lambda: by_old_door(21))
    in_child("socketcall by int 0x80", lambda: by_old_door(102, 1))
    in_child("mount by x32", lambda: call("", 0x40000000 + 165, b"none", b"/tmp", b"tmpfs", 0, 0))


def in_child(name: str, attempt: Callable[[], object]) -> None:
    """The filter may kill whoever tries: the signal, or "survived"."""
    pid = os.fork()
    if pid == 0:
        attempt()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    found[name] = signal.Signals(-code).name if code < 0 else "survived"


def by_old_door(number: int, first: int = 0) -> None:
    """A system call by its 32 bit number and `int 0x80`: push rbx; mov eax, …; mov ebx, …; clear the rest; int; pop; ret."""
    code = (
        b"\x53\xb8"
        + struct.pack("<I", number)
        + b"\xbb"
        + struct.pack("<I", first)
        + b"\x31\xc9\x31\xd2\x31\xf6\x31\xff\xcd\x80\x5b\xc3"
    )
    with mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as memory:
        memory.write(code)
        pointer = ctypes.c_char.from_buffer(memory)
        ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(pointer))()
        del pointer


def sockets() -> None:
    families = {"packet": (17, 3), "alg": (38, 5), "vsock": (40, 1), "raw": (2, 3), "key": (15, 3)}
    for name, (family, kind) in families.items():
        tried(f"socket {name}", lambda f=family, k=kind: socket.socket(f, k).close())  # type: ignore[misc]
    tried("socket netfilter", lambda: socket.socket(16, 3, 12).close())
    tried("socket unix", lambda: socket.socket(socket.AF_UNIX).close())
    tried("socket inet", lambda: socket.socket().close())
    found["interfaces"] = [name for _, name in socket.if_nameindex()]
    for name, address in (("internet", "1.1.1.1"), ("metadata", "169.254.169.254"), ("neighbour", "192.168.1.1")):
        tried(f"connect {name}", lambda a=address: socket.create_connection((a, 80), timeout=5).close())  # type: ignore[misc]


def files() -> None:
    for path in (
        "/x",
        "/usr/bin/x",
        "/etc/x",
        "/lib/x",
        "/opt/headrace/x",
        "/opt/x",
        "/var/x",
        "/proc/sys/kernel/core_pattern",
    ):
        tried(f"write {path}", lambda p=path: Path(p).write_text("x"))  # type: ignore[misc]
    for path in ("/app/x", "/tmp/x", "/home/builder/x", "/dev/shm/x"):
        tried(f"write {path}", lambda p=path: Path(p).write_text("x"))  # type: ignore[misc]
    for path in ("kcore", "keys", "timer_list", "kallsyms", "sysrq-trigger", "1/mem", "1/environ"):
        tried(f"read /proc/{path}", lambda p=path: len(Path("/proc", p).read_bytes()))  # type: ignore[misc]
    tried("write /proc/sysrq-trigger", lambda: Path("/proc/sysrq-trigger").write_text("h"))
    found["sys"] = sorted(os.listdir("/sys")) if Path("/sys").exists() else []
    found["dev"] = sorted(os.listdir("/dev"))
    found["setuid files"] = [
        str(path) for path in Path("/usr").rglob("*") if path.is_file() and path.stat().st_mode & 0o6000
    ]


def identity() -> None:
    for field in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Uid", "Groups"):
        found[field] = status(field)
    found["uid_map"] = Path("/proc/self/uid_map").read_text().split()
    found["processes"] = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    found["hostname"] = socket.gethostname()
    found["descriptors"] = sorted(
        int(fd) for fd in os.listdir("/proc/self/fd") if int(fd) < 3 or Path(f"/proc/self/fd/{fd}").exists()
    )
    found["environment"] = sorted(os.environ)
    found["cgroup"] = {line.split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines()} == {"/"}
    found["mounts"] = [line.split(" ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    found["cpus"] = len(os.sched_getaffinity(0))
    found["home"] = str(Path.home())


if __name__ == "__main__":
    identity()
    files()
    sockets()
    system_calls()
    print(json.dumps(found))
