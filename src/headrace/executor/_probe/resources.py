"""H50 to H53: limits that a command can meet without being ended by them. The others are deeds: see `_prove`."""

import errno
import os
import resource
import signal
import time
from contextlib import suppress
from pathlib import Path

from headrace.executor._probe.attempt import Seen
from headrace.executor._probe.given import Given

_SPIN_SECONDS = 0.6
#: What is used may be this much more than the limit: time is handed out in pieces of 0.1 s.
_CPU_SLACK = 0.2
_READ_SECONDS = 1.0


def limited_processes(given: Given) -> Seen:
    """Fork until the kernel refuses."""
    children: list[int] = []
    end = "no end"
    try:
        while len(children) < given.limits.pids * 2:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
    except OSError as exc:
        end = errno.errorcode.get(exc.errno or 0, str(exc))
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    seen = {"forked": len(children), "then": end, "limit": given.limits.pids}
    return Seen(end == "EAGAIN" and len(children) < given.limits.pids, seen)


def limited_processors(given: Given) -> Seen:
    """As many processes as there are processors do nothing but calculate."""
    many = max(2, len(os.sched_getaffinity(0)))
    before, began = _cpu_seconds(), time.monotonic()
    for _ in range(many):
        if os.fork() == 0:
            while time.monotonic() < began + _SPIN_SECONDS:
                pass
            os._exit(0)
    for _ in range(many):
        os.wait()
    used = (_cpu_seconds() - before) / (time.monotonic() - began)
    return Seen(used <= given.limits.cpus + _CPU_SLACK, {"used": round(used, 2), "limit": given.limits.cpus})


def limited_descriptors(given: Given) -> Seen:
    opened: list[int] = []
    end = "no end"
    try:
        while len(opened) <= given.limits.descriptors:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as exc:
        end = errno.errorcode.get(exc.errno or 0, str(exc))
    finally:
        for descriptor in opened:
            os.close(descriptor)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    huge = Path("headrace-probe-huge")
    try:
        with huge.open("wb") as file:
            os.ftruncate(file.fileno(), 100 * 2**30)
        grew = "no end"
    except OSError as exc:
        grew = errno.errorcode.get(exc.errno or 0, str(exc))
    finally:
        huge.unlink()
    seen = {"descriptors": len(opened), "then": end, "a file of 100 GiB": grew}
    return Seen(end == "EMFILE" and grew in ("EFBIG", "ENOSPC", "EDQUOT"), seen)


def limited_block_io(given: Given) -> Seen:
    """Direct writes: they wait for the disk, so they are what a limit is for."""
    if given.limits.io_bytes is None:
        return Seen(True, "no limit is set")
    path, piece = Path("headrace-probe-io"), 256 * 1024
    # Direct writes need memory that is aligned to pages.
    import mmap  # noqa: PLC0415

    data = mmap.mmap(-1, piece)
    began, written = time.monotonic(), 0
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_DIRECT)
    except OSError as exc:
        return Seen(False, f"no direct writes: {errno.errorcode.get(exc.errno or 0, str(exc))}")
    try:
        while time.monotonic() < began + _READ_SECONDS and written < given.limits.disk_bytes // 2:
            written += os.write(descriptor, data)
    finally:
        os.close(descriptor)
        with suppress(OSError):
            path.unlink()
    rate = written / (time.monotonic() - began)
    seen = {"bytes a second": round(rate), "limit": given.limits.io_bytes}
    return Seen(rate <= given.limits.io_bytes * 1.5 + piece, seen)


def _cpu_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


PROBES = {
    "H50": limited_processes,
    "H51": limited_processors,
    "H52": limited_block_io,
    "H53": limited_descriptors,
}
