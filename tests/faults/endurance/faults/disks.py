"""Disks that are full, broken, read-only or without power."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from tests.waiting import wait_until

from endurance.injection import fault
from endurance.power import Disk
from endurance.rig import STEPS, Rig

#: What a client may be told while a disk takes nothing.
NOT_NOW = (503, 507)

_BOOT = "/proc/sys/kernel/random/boot_id"


@fault("F17", "the disk of the data directory is full for a while", disk=Disk("tmpfs", 64), weight=2)
def full(rig: Rig) -> None:
    _without_room(rig, _fill)


@fault("F20", "a disk of blocks is full for a while", disk=Disk("ext4", 96))
def full_of_blocks(rig: Rig) -> None:
    _without_room(rig, _fill)


@fault("F21", "the disk has no inodes left for a while", disk=Disk("ext4", 96, 3000))
def no_inodes(rig: Rig) -> None:
    _without_room(rig, _fill_with_names)


@fault("F20b", "a build fills the disk itself", disk=Disk("tmpfs", 64))
def filled_by_a_build(rig: Rig) -> None:
    build = rig.script("node count.js build 5 1 1; cat /dev/zero > big")
    build.may_be, build.reasons = ("failed",), ("disk_full",)
    rig.server.until_ended(build.id, seconds=60)


@fault("F22", "fsync fails for a while", weight=2)
def fsync_fails(rig: Rig) -> None:
    build = rig.any_build(lines=40)
    rig.until_phase(build, rig.random.choice(STEPS))
    with _injected(rig, "fsync,fdatasync", "error=EIO"):
        _asked_during(rig, seconds=2)
    # What could not be made durable is not published; what was done before may have succeeded.
    build.may_be, build.reasons = ("succeeded", "failed"), ("storage_error", "sandbox_died")


@fault("F22b", "writes fail with an error of the disk for a while")
def writes_fail(rig: Rig) -> None:
    build = rig.any_build(lines=40)
    rig.until_phase(build, rig.random.choice(STEPS))
    with _injected(rig, "pwrite64", "error=EIO"):
        _asked_during(rig, seconds=2)
    build.may_be, build.reasons = ("succeeded", "failed"), ("storage_error", "sandbox_died")


@fault("F23", "the file system turns read-only, and comes back", disk=Disk("ext4", 96))
def read_only(rig: Rig) -> None:
    assert rig.disk
    build = rig.any_build(lines=40)
    rig.until_phase(build, rig.random.choice(STEPS))
    # As the kernel does when it finds the file system damaged.
    subprocess.run(["mount", "-o", "remount,abort", str(rig.data_dir)], capture_output=True, check=False)
    _asked_during(rig, seconds=1)
    _remounted(rig)
    build.may_be, build.reasons = ("succeeded", "failed"), ("storage_error", "disk_full", "sandbox_died")


@fault("F66", "the power of the whole machine goes", disk=Disk("ext4", 128), executors=("process",), weight=2)
def power(rig: Rig) -> None:
    assert rig.disk
    builds = [rig.any_build(lines=40) for _ in range(20 if rig.long else 3)]
    rig.until_phase(builds[0], rig.random.choice(("queued", *STEPS)))
    rig.server.freeze()
    rig.disk.cut()
    _remounted(rig, rebooted=True)
    for build in builds:
        build.may_be, build.reasons = ("succeeded", "failed"), ("sandbox_died",)
        # Lines that were not flushed are gone with the machine that printed them.
        build.lines = 0


def _without_room(rig: Rig, fill: Callable[[Path], Iterator[None]]) -> None:
    builds = [rig.any_build(lines=80) for _ in range(2)]
    rig.until_phase(builds[0], rig.random.choice(STEPS))
    with contextmanager(fill)(rig.data_dir / "filled"):
        _asked_during(rig, seconds=rig.random.choice((1, 4)))
    for build in builds:
        build.may_be, build.reasons = ("succeeded", "failed"), ("disk_full",)


def _asked_during(rig: Rig, *, seconds: float) -> None:
    """Somebody goes on asking, and is told the truth: done, or not now."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for method, path in (("POST", "/workspaces/default/projects"), ("GET", "/builds"), ("GET", "/cache")):
            body = {"json": {"name": f"d-{rig.random.getrandbits(40):x}"}} if method == "POST" else {}
            answer = rig.server.ask(method, path, **body)
            assert answer.is_success or answer.status_code in NOT_NOW, f"{method} {path}: {answer.text[:300]}"
        time.sleep(0.1)


def _fill(place: Path) -> Iterator[None]:
    place.mkdir()
    try:
        with suppress(OSError), (place / "big").open("wb", buffering=0) as file:
            for size in (2**20, 2**12, 1):
                with suppress(OSError):
                    while True:
                        file.write(b"x" * size)
        yield
    finally:
        subprocess.run(["rm", "-rf", str(place)], check=True)


def _fill_with_names(place: Path) -> Iterator[None]:
    place.mkdir()
    try:
        with suppress(OSError):
            for number in range(10**6):
                os.close(os.open(place / str(number), os.O_CREAT | os.O_WRONLY))
        yield
    finally:
        subprocess.run(["rm", "-rf", str(place)], check=True)


@contextmanager
def _injected(rig: Rig, calls: str, what: str) -> Iterator[None]:
    """The server's system calls fail as long as this is open."""
    said = rig.place / "strace"
    tracer = subprocess.Popen(
        [
            "strace",
            "-f",
            "-p",
            str(rig.server.pid),
            "-e",
            f"trace={calls}",
            "-e",
            f"inject={calls}:{what}",
            "-o",
            "/dev/null",
        ],
        stderr=said.open("wb"),
    )
    try:
        wait_until(lambda: b"attached" in said.read_bytes(), 10, "strace")
        yield
    finally:
        tracer.terminate()
        tracer.wait(10)


def _remounted(rig: Rig, *, rebooted: bool = False) -> None:
    assert rig.disk
    rig.kill_everything()
    if rebooted:
        # As far as programs can tell; nobody but this process and its children sees it. No container starts meanwhile.
        boot = rig.place / "boot_id"
        boot.write_text(f"{uuid4()}\n")
        subprocess.run(["mount", "--bind", str(boot), _BOOT], check=True)
        rig.at_end.callback(subprocess.run, ["umount", _BOOT], check=True)
    rig.disk.unmount()
    rig.disk.mount()
    rig.server.start()
