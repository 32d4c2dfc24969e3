"""Cancellations: how long they take, and what comes of one that meets the build's own end."""

import time
from collections.abc import Iterator

from tests.server import ENDED
from tests.waiting import wait_until

from endurance import projects
from endurance.rig import Rig

_DAEMON = "(setsid sh -c 'sleep 1000 & sleep 1000 &' &)"
#: Builds that are hard to end, all of which ignore signals.
STUBBORN = {
    "daemons": f"{_DAEMON}; sleep 1000 & kill -STOP $!; echo ready; while :; do sleep 1; done",
    # Cancelled before it is seen for what it is.
    "bomb": "bomb() { bomb | bomb & }; echo ready; bomb; sleep 1000",
}


def cancel_times(rig: Rig, count: int, kind: str = "daemons") -> Iterator[float]:
    """Seconds from the request to the end of all processes, each of a build of one kind of `STUBBORN`."""
    project = rig.server.project(f"cancels-{rig.random.getrandbits(32):08x}")["id"]
    rig.server.upload(project, projects.running("never", f"trap '' TERM INT HUP; {STUBBORN[kind]}"))
    for _ in range(count):
        build = rig.server.build(project, force=True)["id"]
        rig.server.until_logged(build, '"line":"ready"')
        rig.pause(0.05)
        began = time.monotonic()
        answer = rig.server.cancel(build)
        assert answer.status_code == 200, answer.text
        wait_until(lambda: rig.server.see(build)["status"] in ENDED, 30, "the end")  # noqa: B023 - called at once
        took = time.monotonic() - began
        row = rig.server.see(build)
        assert row["status"] == "cancelled", row
        left = [pid for pid in rig.processes() if _is_of(pid, build)]
        assert left == [], f"{build} has ended, and its processes {left} have not"
        yield took


def _is_of(pid: int, build: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            return build.encode() in file.read()
    except OSError:
        return False


def races(rig: Rig, count: int) -> Iterator[str]:
    """How each of so many builds ended that were cancelled in the moment of their end. Raises AssertionError."""
    project = rig.server.project(f"races-{rig.random.getrandbits(32):08x}")
    usual = 0.15
    for number in range(count):
        rig.server.upload(project["id"], projects.static(f"race {number}"))
        began = time.monotonic()
        build = rig.server.build(project["id"], force=True)["id"]
        time.sleep(max(0.0, usual + (rig.random.random() - 0.6) * 2 * usual))
        answer = rig.server.cancel(build)
        row = rig.server.until_ended(build, seconds=30)
        if row["status"] == "succeeded":
            # Where ends are: the next one aims there.
            usual = 0.9 * usual + 0.1 * min(2.0, time.monotonic() - began)
        else:
            usual = min(2.0, usual * 1.1)
        yield _judge(rig, build, row["status"], answer.status_code)


def _judge(rig: Rig, build: str, status: str, answered: int) -> str:
    events = rig.server.events(build)
    ends = [event["status"] for event in events if event["type"] == "build.completed"]
    assert ends == [status], f"{build}: row {status}, log {ends}"
    with rig.database() as db:
        deployed = db.execute("SELECT count(*) FROM deployments WHERE build_id = ?", (build,)).fetchone()[0]
    assert answered in (200, 409), answered
    assert status in ("succeeded", "cancelled"), status
    assert (answered == 200) == (status == "cancelled"), (
        f"{build}: the cancellation was answered {answered}, then {status}"
    )
    assert not (deployed and status == "cancelled"), f"{build} was cancelled, and is deployed"
    return f"{status}, answered {answered}"
