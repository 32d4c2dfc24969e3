"""H14 to H25: system calls that reach beyond a process."""

import ctypes
import mmap
import os
import platform
import socket
import struct
from pathlib import Path

from headrace.executor._probe.attempt import REFUSED, Seen, all_refused, call, call_number, in_child, tried
from headrace.executor._probe.given import Given

_NEW_MOUNTS, _NEW_CGROUP, _NEW_USER, _NEW_PIDS, _NEW_NETWORK = 0x20000, 0x2000000, 0x10000000, 0x20000000, 0x40000000
_CHILD_SIGNAL = 17
_AT_FDCWD = -100
_HERE = -3  # the keyring of the process
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_ADDR_NO_RANDOMIZE = 0x40000
_X32 = 0x40000000


def no_mounting(given: Given) -> Seen:
    found = {
        "mount": call("mount", b"none", b"/tmp", b"tmpfs", 0, 0),
        "umount2": call("umount2", b"/tmp", 2),
        "pivot_root": call("pivot_root", b"/tmp", b"/tmp"),
        "chroot": call("chroot", b"/tmp"),
        "fsopen": call("fsopen", b"tmpfs", 0),
        "fsmount": call("fsmount", -1, 0, 0),
        "open_tree": call("open_tree", _AT_FDCWD, b"/", 1),
        "move_mount": call("move_mount", -1, b"", _AT_FDCWD, b"/tmp", 4),
        "mount_setattr": call("mount_setattr", _AT_FDCWD, b"/", 0, 0, 0),
    }
    # Its flags are behind a pointer, where no filter can look, so it must not be there at all.
    clone3 = call("clone3", 0, 0)
    refused = all_refused(found)
    return Seen(refused.holds and clone3 == "ENOSYS", {"clone3": clone3, "rest": refused.seen})


def no_namespaces(given: Given) -> Seen:
    kinds = {
        "user": _NEW_USER,
        "mount": _NEW_MOUNTS,
        "network": _NEW_NETWORK,
        "process": _NEW_PIDS,
        "cgroup": _NEW_CGROUP,
    }
    found = {f"unshare {name}": call("unshare", flag) for name, flag in kinds.items()}
    found["setns"] = call("setns", -1, 0)
    found["clone"] = call("clone", _NEW_USER | _CHILD_SIGNAL, 0, 0, 0, 0)
    return all_refused(found)


def no_risky_parts(given: Given) -> Seen:
    return all_refused(
        {
            "bpf": call("bpf", 0, 0, 0),
            "perf_event_open": call("perf_event_open", 0, 0, -1, -1, 0),
            "io_uring_setup": call("io_uring_setup", 1, 0),
            "userfaultfd": call("userfaultfd", 0),
            "fanotify_init": call("fanotify_init", 0, 0),
        }
    )


def few_socket_families(given: Given) -> Seen:
    kinds = {
        "packet": (17, socket.SOCK_RAW, 0),
        "alg": (38, socket.SOCK_SEQPACKET, 0),
        "vsock": (40, socket.SOCK_STREAM, 0),
        "key": (15, socket.SOCK_RAW, 2),
        "bluetooth": (31, socket.SOCK_RAW, 1),
        "xdp": (44, socket.SOCK_RAW, 0),
        "raw": (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "raw 6": (socket.AF_INET6, socket.SOCK_RAW, 58),
        "netfilter": (16, socket.SOCK_RAW, 12),
        "audit": (16, socket.SOCK_RAW, 9),
        "xfrm": (16, socket.SOCK_RAW, 6),
    }
    found = {name: tried(lambda k=kind: socket.socket(*k).close()) for name, kind in kinds.items()}  # type: ignore[misc]
    return all_refused(found, REFUSED | {"EAFNOSUPPORT", "EPROTONOSUPPORT"})


def no_foreign_memory(given: Given) -> Seen:
    found = {
        "ptrace": call("ptrace", 0, 0, 0, 0),
        "process_vm_readv": call("process_vm_readv", 1, 0, 0, 0, 0, 0),
        "process_vm_writev": call("process_vm_writev", 1, 0, 0, 0, 0, 0),
        "pidfd_getfd": call("pidfd_getfd", 0, 0, 0),
        "process_madvise": call("process_madvise", 0, 0, 0, 0, 0),
        "kcmp": call("kcmp", 1, 1, 0, 0, 0),
    }
    if os.getpid() != 1:
        found["/proc/1/mem"] = tried(lambda: Path("/proc/1/mem").open("rb").close())
    return all_refused(found)


def no_keyring(given: Given) -> Seen:
    return all_refused(
        {
            "add_key": call("add_key", b"user", b"a", b"b", 1, _HERE),
            "request_key": call("request_key", b"user", b"a", 0, _HERE),
            "keyctl": call("keyctl", 0, _HERE, 0),
        }
    )


def no_machine_control(given: Given) -> Seen:
    # With arguments that do nothing, should one get through.
    return all_refused(
        {
            "reboot": call("reboot", 0, 0, 0, 0),
            "kexec_load": call("kexec_load", 0, 0, 0, 0),
            "kexec_file_load": call("kexec_file_load", -1, -1, 0, b"", 0),
            "init_module": call("init_module", 0, 0, b""),
            "finit_module": call("finit_module", -1, b"", 0),
            "delete_module": call("delete_module", b"no-such-module", 0),
            "swapon": call("swapon", b"/tmp/no-such-file", 0),
            "swapoff": call("swapoff", b"/tmp/no-such-file"),
            "acct": call("acct", b"/tmp/no-such-file"),
            "syslog": call("syslog", 2, 0, 0),
            "clock_settime": call("clock_settime", 0, 0),
            "settimeofday": call("settimeofday", 0, 0),
            "adjtimex": call("adjtimex", 0),
            "vhangup": call("vhangup"),
            "quotactl": call("quotactl", 0, 0, 0, 0),
        }
    )


def no_open_by_handle(given: Given) -> Seen:
    return all_refused({"open_by_handle_at": call("open_by_handle_at", _AT_FDCWD, 0, 0)})


def no_device_nodes(given: Given) -> Seen:
    nodes = {"a disk": (0o60600, os.makedev(254, 0)), "memory": (0o20600, os.makedev(1, 1))}
    return all_refused({name: tried(lambda n=node: os.mknod("/tmp/node", *n)) for name, node in nodes.items()})  # type: ignore[misc]


def no_terminal(given: Given) -> Seen:
    """Nobody can put words into the operator's terminal, because there is none."""
    found = {f"descriptor {number}": "a terminal" for number in (0, 1, 2) if os.isatty(number)}
    found["/dev/tty"] = tried(lambda: os.close(os.open("/dev/tty", os.O_RDWR)))
    for name, request in (("TIOCSTI", _TIOCSTI), ("TIOCLINUX", _TIOCLINUX)):
        found[name] = tried(lambda r=request: _ioctl(0, r))  # type: ignore[misc]
    return all_refused(found, REFUSED | {"ENXIO", "ENOTTY", "ENOENT"})


def no_older_doors(given: Given) -> Seen:
    if platform.machine() != "x86_64":
        return Seen(True, f"{platform.machine()}: no other way to call the kernel is tried")
    found = {
        "mount by int 0x80": in_child(lambda: _by_old_door(21)),
        "unshare by int 0x80": in_child(lambda: _by_old_door(310, _NEW_USER)),
        "socketcall by int 0x80": in_child(lambda: _by_old_door(102, 1)),
        "mount by x32": call_number(_X32 + 165, b"none", b"/tmp", b"tmpfs", 0, 0),
        "unshare by x32": call_number(_X32 + 272, _NEW_USER),
    }
    return all_refused(found, REFUSED | {"SIGSYS"})


def only_known_calls(given: Given) -> Seen:
    found = {"no such call": call("no such call"), "personality": call("personality", _ADDR_NO_RANDOMIZE)}
    return Seen(found["no such call"] == "ENOSYS" and found["personality"] in REFUSED, found)


def _ioctl(descriptor: int, request: int) -> None:
    import fcntl  # noqa: PLC0415 - not every image's Python has it

    fcntl.ioctl(descriptor, request, b"x")


def _by_old_door(number: int, first: int = 0) -> int:
    """
    The error of a system call by its 32 bit number and `int 0x80`: push rbx; mov eax, …; mov ebx, …; clear the rest; int; pop; ret.
    """
    code = (
        b"\x53\xb8"
        + struct.pack("<I", number)
        + b"\xbb"
        + struct.pack("<I", first)
        + b"\x31\xc9\x31\xd2\x31\xf6\x31\xff\xcd\x80\x5b\xc3"
    )
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    result: int = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()
    return max(0, -result)


PROBES = {
    "H14": no_mounting,
    "H15": no_namespaces,
    "H16": no_risky_parts,
    "H17": few_socket_families,
    "H18": no_foreign_memory,
    "H19": no_keyring,
    "H20": no_machine_control,
    "H21": no_open_by_handle,
    "H22": no_device_nodes,
    "H23": no_terminal,
    "H24": no_older_doors,
    "H25": only_known_calls,
}
