"""Processes that die, hang or get in each other's way."""

import os
import resource
import signal
import sqlite3
import time
from contextlib import suppress

import httpx2
from tests.waiting import wait_until

from endurance.injection import fault
from endurance.invariants import TERMINAL_SECONDS
from endurance.rig import STEPS, Promised, Rig

LOST = ("sandbox_died",)


@fault("F1", "the server is killed in a phase", weight=6)
def server_killed(rig: Rig) -> None:
    build = rig.any_build()
    rig.until_phase(build, rig.random.choice(("queued", *STEPS)))
    rig.server.kill()
    rig.pause(1.0)
    rig.server.start()


@fault("F1b", "the server is killed again and again", weight=2)
def server_killed_often(rig: Rig) -> None:
    rig.counting(lines=100, install=rig.random.random() < 0.3)
    for _ in range(3):
        rig.pause(0.6)
        rig.server.kill()
        rig.server.start()


@fault("F2", "a command's supervisor is killed", weight=2)
def supervisor_killed(rig: Rig) -> None:
    build = _in_its_command(rig)
    os.kill(rig.supervisor(build), signal.SIGKILL)
    build.may_be, build.reasons = ("failed",), LOST


@fault("F3", "a command's first process is killed from outside", weight=2)
def first_process_killed(rig: Rig) -> None:
    build = _in_its_command(rig)
    os.kill(rig.first_process(build), signal.SIGKILL)
    # Without a sandbox nobody can tell who sent the signal.
    build.may_be, build.reasons = ("failed",), (*LOST, *(["command_failed"] if rig.executor == "process" else []))


@fault("F2b", "a supervisor is killed while no server is there")
def supervisor_killed_alone(rig: Rig) -> None:
    build = _in_its_command(rig)
    supervisor = rig.supervisor(build)
    rig.server.kill()
    os.kill(supervisor, signal.SIGKILL)
    rig.server.start()
    build.may_be, build.reasons = ("failed",), LOST


@fault("F5", "the server is asked to end", weight=2)
def server_ended(rig: Rig) -> None:
    build = rig.any_build(lines=60)
    rig.until_phase(build, rig.random.choice(("queued", *STEPS)))
    rig.server.stop()
    rig.server.start()


@fault("F6", "a worker stands still longer than its lease, and goes on", own_rig=True, weight=2)
def zombie(rig: Rig) -> None:
    build = rig.any_build(lines=100)
    rig.until_phase(build, rig.random.choice(("queued", *STEPS)))
    frozen = rig.server
    rig.at_end.callback(frozen.close)
    _freeze(rig)
    other = rig.another_server()
    other.start()
    rig.server = other
    try:
        # The other one needs the lease to end, and some looks.
        other.until_ended(build.id, seconds=TERMINAL_SECONDS)
    finally:
        frozen.thaw()
    time.sleep(1.5)
    row = other.see(build.id)
    assert row["status"] == "succeeded", row["failure"]
    frozen.close()  # so that it is not looked for among what is left


@fault("F45", "a build is cancelled in a phase", weight=3)
def cancelled(rig: Rig) -> None:
    build = rig.any_build(lines=60)
    rig.until_phase(build, rig.random.choice(("queued", *STEPS)))
    answer = rig.server.cancel(build.id)
    assert answer.status_code in (200, 409), answer.text
    build.may_be = ("cancelled", "succeeded")
    row = rig.server.until_ended(build.id, seconds=60)
    assert (answer.status_code == 200) == (row["status"] == "cancelled"), f"answered {answer.status_code}: {row}"
    if row["status"] == "cancelled":
        assert not row["active"], "a cancelled build is what visitors see"
        assert row["deployment_id"] is None


@fault("F45b", "a build is cancelled, and the server is killed at once")
def cancelled_and_killed(rig: Rig) -> None:
    build = rig.any_build(lines=60)
    rig.until_phase(build, rig.random.choice(("queued", *STEPS)))
    rig.server.cancel(build.id)
    rig.pause(0.03)
    rig.server.kill()
    rig.server.start()
    build.may_be = ("cancelled", "succeeded")


@fault("F46", "everything is killed while many builds run")
def everything_killed(rig: Rig) -> None:
    builds = [rig.any_build(lines=60) for _ in range(20 if rig.long else 4)]
    rig.pause(1.5)
    rig.kill_everything()
    rig.server.start()
    # Without a sandbox a command may die before its supervisor, which then tells of it.
    reasons = (*LOST, "command_failed") if rig.executor == "process" else LOST
    for build in builds:
        build.may_be, build.reasons = ("succeeded", "failed"), reasons


@fault("F47", "an older life has left things behind")
def left_overs(rig: Rig) -> None:
    rig.server.kill()
    names = ("build_01m7xpeyhy9gptce7gk34taj0d-build", "x" * 120, ".removed-abc", ".making-abc", "ü \n'$(x)")
    for place in (rig.sandboxes(), rig.data_dir / "builds"):
        for name in names if place.name == "builds" else names[:-1]:
            deep = place / name / "disk" / "upper" / "a" / "b"
            deep.mkdir(parents=True, exist_ok=True)
            (deep / "file").write_text("left")
            deep.chmod(0o000)
    # No sandbox can have this name: it is somebody else's, and stays.
    stranger = rig.sandboxes() / "not a sandbox"
    stranger.mkdir()
    rig.server.start()
    assert stranger.is_dir()
    stranger.rmdir()


@fault("F29", "the server runs out of descriptors")
def descriptors_exhausted(rig: Rig) -> None:
    pid = rig.server.pid
    build = rig.counting(lines=40)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + rig.random.randint(0, 6), before[1]))
    try:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            # It may hang up, or say that it can't; it must not break.
            with suppress(httpx2.TransportError):
                rig.server.ask("GET", f"/builds/{build.id}")
            time.sleep(0.1)
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    build.may_be, build.reasons = ("succeeded", "failed"), ("internal", "storage_error", "sandbox_died")


@fault("F31", "processors are taken by others", long=True)
def starved(rig: Rig) -> None:
    hogs = [_hog() for _ in range(4 * (os.cpu_count() or 1))]
    try:
        build = rig.counting(lines=100, install=True)
        rig.server.until_ended(build.id, seconds=120)
        workers = {e["worker"] for e in rig.server.events(build.id) if e["type"] == "build.started"}
        assert len(workers) == 1, "it was taken for dead"
    finally:
        for pid in hogs:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _freeze(rig: Rig) -> None:
    """Not while it holds the database's lock: that would stop everybody on this machine, as F16 does."""
    while True:
        rig.server.freeze()
        with rig.database() as db, suppress(sqlite3.OperationalError):
            db.execute("PRAGMA busy_timeout=0")
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")
            return
        rig.server.thaw()
        time.sleep(0.005)


def _hog() -> int:
    if pid := os.fork():
        return pid
    while True:
        pass


def _in_its_command(rig: Rig) -> Promised:
    build = rig.counting(lines=400)
    rig.server.until_logged(build.id, '"build.log"', f"build {rig.random.randint(0, 20)} ")
    wait_until(lambda: rig.first_process(build), 10, "the command's process")
    return build
