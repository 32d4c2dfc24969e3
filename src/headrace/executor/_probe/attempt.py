"""Trying what must not work: system calls by their numbers, each in a child, and what came of it as a word."""

import ctypes
import errno
import os
import platform
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

_libc = ctypes.CDLL(None, use_errno=True)
#: Refused by a filter or for want of a right. EFAULT, EINVAL and the like would mean that the kernel took the call.
REFUSED = frozenset({"EPERM", "EACCES", "ENOSYS"})

#: Numbers of system calls: on x86_64, and on machines with the unified table. From 424 on they are the same.
_NUMBERS = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "delete_module": (176, 106),
    "fallocate": (285, 47),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "init_module": (175, 105),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
    "clone3": (435, 435),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "io_uring_setup": (425, 425),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "no such call": (9999, 9999),
}


class Seen(NamedTuple):
    """What was found of one control."""

    holds: bool
    seen: object


def number_of(name: str) -> int:
    return _NUMBERS[name][platform.machine() != "x86_64"]


def call(name: str, *arguments: object) -> str:
    """What came of a system call."""
    return call_number(number_of(name), *arguments)


def call_number(number: int, *arguments: object) -> str:
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]

    def attempt() -> int:
        return 0 if _libc.syscall(ctypes.c_long(number), *converted) >= 0 else ctypes.get_errno()

    return in_child(attempt)


def in_child(attempt: Callable[[], int]) -> str:
    """
    The name of the error whose number `attempt` returned, "done" for 0, or the signal that ended it. In a child, because what
    succeeds may change who we are, and what a filter refuses may end whoever tries.
    """
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            code = attempt()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code < 0:
        return signal.Signals(-code).name
    return errno.errorcode.get(code, str(code)) if code else "done"


def tried(attempt: Callable[[], object]) -> str:
    """What came of something that Python has a function for: "done", or the name of the error."""
    try:
        attempt()
    except OSError as exc:
        return errno.errorcode.get(exc.errno or 0, type(exc).__name__)
    return "done"


def all_refused(found: dict[str, str], allowed: Iterable[str] = REFUSED) -> Seen:
    """Holds when everything that was tried came to one of the `allowed` ends. Says those that didn't; else all of them."""
    ends = set(allowed)
    open_doors = {name: came for name, came in found.items() if came not in ends}
    return Seen(not open_doors, open_doors or found)


def status(field: str) -> str:
    """A field of this process's status, such as `CapEff`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(field + ":")), "")


def mounts() -> list[tuple[str, frozenset[str], str]]:
    """Mount points of this process with their options and the kind of the file system."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        words = before.split(" ")
        found.append((words[4], frozenset([*words[5].split(","), *words[6:]]), after.split(" ")[0]))
    return found
