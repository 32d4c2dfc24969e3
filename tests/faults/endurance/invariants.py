"""What must hold after every fault. Each check is named as in docs/endurance.md."""

import base64
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.server import ENDED

from endurance import projects
from endurance.rig import Promised, Rig

#: Every build has ended this long after its fault has.
TERMINAL_SECONDS = 60.0
#: Nothing of an ended build is left after this time.
ORPHAN_SECONDS = 30.0


def check_all(rig: Rig) -> None:
    """Raises AssertionError with the invariant's name for the first that does not hold."""
    for name, check in INVARIANTS.items():
        try:
            check(rig)
        except AssertionError as exc:
            raise AssertionError(f"{name}: {exc}") from exc


def terminal(rig: Rig) -> None:
    """I1: each build reaches exactly one terminal state."""
    deadline = time.monotonic() + TERMINAL_SECONDS
    waiting = {build.id for build in rig.promised}
    while waiting and time.monotonic() < deadline:
        waiting = {build for build in waiting if rig.server.see(build)["status"] not in ENDED}
        time.sleep(0.02)
    assert not waiting, f"not ended after {TERMINAL_SECONDS:g} s: {[rig.server.see(one) for one in waiting]}"
    for build in rig.promised:
        ends = [e for e in rig.server.events(build.id) if e["type"] == "build.completed"]
        assert len(ends) == 1, f"{build.id} ended {len(ends)} times"
        assert ends[0]["status"] == rig.server.see(build.id)["status"], f"{build.id}: row and log disagree"


def acknowledged(rig: Rig) -> None:
    """I2: what a client got an id of is there."""
    for build in rig.promised:
        assert rig.server.ask("GET", f"/builds/{build.id}").status_code == 200, f"{build.id} is gone"


def single_effect(rig: Rig) -> None:
    """I3: one deployment for a build that succeeded and none for another; fences rise."""
    with rig.database() as db:
        made = dict(db.execute("SELECT build_id, count(*) FROM deployments GROUP BY build_id"))
    for build in rig.promised:
        row = rig.server.see(build.id)
        expected = 1 if row["status"] == "succeeded" else 0
        if row["status"] != "succeeded" and made.get(build.id):
            # It was deployed in the moment of its end; nothing may point there.
            assert not row["active"], f"{build.id} ended {row['status']} and is what visitors see"
        else:
            assert made.get(build.id, 0) == expected, f"{build.id} has {made.get(build.id, 0)} deployments"
        fences = [e["fence"] for e in rig.server.events(build.id) if e["type"] == "build.started"]
        assert fences == sorted(set(fences)), f"{build.id} was started with fences {fences}"


def log_whole(rig: Rig) -> None:
    """I4: numbers without a gap, every line once and in order, and the receipt fits the lines."""
    for build in rig.promised:
        events = rig.server.events(build.id)
        assert [e["seq"] for e in events] == list(range(1, len(events) + 1)), f"{build.id} has a gap"
        row = rig.server.see(build.id)
        for step in ("dependencies", "build"):
            _check_count(build, row, [e for e in events if e["type"] == "build.log" and e["step"] == step], step)
        _check_receipts(build, events)


def _check_count(build: Promised, row: dict[str, Any], lines: list[dict[str, Any]], step: str) -> None:
    counted = [e["line"] for e in lines if e["line"].startswith(f"{step} ") and e["stream"] == "stdout"]
    expected = [f"{step} {n} {total}" for n, total in enumerate(projects.sums(len(counted)))]
    wrong = next((n for n, pair in enumerate(zip(counted, expected, strict=True)) if pair[0] != pair[1]), None)
    assert wrong is None, (
        f"{build.id}: line {wrong} of {step} is not the one that was printed: {counted[max(0, wrong - 2) :][:6]}"
    )
    if build.lines and row["status"] == "succeeded" and step == "build":
        assert len(counted) == build.lines, f"{build.id}: {len(counted)} of {build.lines} lines of {step}"


def _check_receipts(build: Promised, events: list[dict[str, Any]]) -> None:
    for end in (e for e in events if e["type"] == "build.command.completed" and e.get("sha256")):
        lines = [e for e in events if e["type"] == "build.log" and e["step"] == end["step"]]
        printed = b"".join(bytes_of(e) for e in lines)
        assert end.get("bytes", 0) == len(printed), f"{build.id}: {len(printed)} bytes, receipt {end.get('bytes', 0)}"
        assert end["sha256"] == hashlib.sha256(printed).hexdigest(), f"{build.id}: another checksum than the receipt"
        told = sum(e["bytes"] for e in events if e["type"] == "log.truncated" and e["step"] == end["step"])
        cut = end.get("truncated_bytes", 0)
        assert told == cut, f"{build.id}: {cut} bytes of {end['step']} were cut, {told} were said to be"


def bytes_of(event: dict[str, Any]) -> bytes:
    """What was printed, from a `build.log` event."""
    line = base64.b64decode(event["raw"]) if event.get("raw") else event["line"].encode()
    return line + (b"\n" if event.get("eol", True) else b"")


def no_orphans(rig: Rig) -> None:
    """I5: no process, directory, mount or control group of a build that has ended."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while (left := _left(rig)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left, f"left {ORPHAN_SECONDS:g} s later: {left}"


def _left(rig: Rig) -> list[str]:
    ids = [build.id for build in rig.promised]
    found = [str(path) for part in (rig.sandboxes(), rig.data_dir / "builds") for path in part.glob("[!.]*")]
    found += [str(path) for path in rig.sandboxes().glob(".removed-*")]
    for pid in rig.processes():
        try:
            said = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if " serve" not in said:
            found.append(f"process {pid} {said[:200]}")
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found += [line for line in mounts if any(build in line for build in ids)]
    # Unlike a glob, a walk does not mind groups that others remove meanwhile.
    for tree, groups, _ in os.walk("/sys/fs/cgroup"):
        if tree.endswith("/headrace"):
            found += [f"{tree}/{group}" for group in groups if any(one in group for one in ids)]
    return found


def cache_verifies(rig: Rig) -> None:
    """I6: every entry that can be seen has the bytes that it is named by."""
    answer = rig.server.json("POST", "/cache/verify")
    assert answer["damaged"] == [], f"damaged: {answer['damaged']}"


def serves(rig: Rig) -> None:
    """I7: the address of each build that succeeded answers with that build's page."""
    for build in rig.promised:
        if rig.server.see(build.id)["status"] == "succeeded":
            answer = rig.server.site(build.slug)
            assert answer.status_code == 200, f"{build.slug}: {answer.status_code} {answer.text[:200]}"


def database_sound(rig: Rig) -> None:
    """I9: the database checks itself, and each row is what its log says."""
    with rig.database() as db:
        said = db.execute("PRAGMA integrity_check").fetchall()
        assert said == [("ok",)], f"integrity_check: {said}"
        broken = db.execute("PRAGMA foreign_key_check").fetchall()
        assert broken == [], f"foreign_key_check: {broken}"


def secrets_kept(rig: Rig) -> None:
    """I10: the server's token is in no log."""
    token = (rig.data_dir / "token").read_bytes()
    logs = [rig.server.log, *(rig.data_dir / "logs").glob("*.ndjson")]
    assert not [path.name for path in logs if path.exists() and token in path.read_bytes()]


def capacity(rig: Rig) -> None:
    """I8 and I11: another small build is done at once, so no slot is taken by what has ended."""
    build = rig.ask(projects.static(f"after-{rig.random.getrandbits(32):08x}"))
    ended = rig.server.until_ended(build.id, seconds=60)
    assert ended["status"] == "succeeded", f"a build after the fault: {json.dumps(ended['failure'])}"


def reasons(rig: Rig) -> None:
    """I12: the end names what happened."""
    for build in rig.promised:
        row = rig.server.see(build.id)
        assert row["status"] in build.may_be, f"{build.id} {row['status']}: {json.dumps(row['failure'])}"
        if row["status"] == "failed" and build.reasons:
            assert row["failure"]["reason"] in build.reasons, json.dumps(row["failure"])


INVARIANTS: dict[str, Callable[[Rig], None]] = {
    "I1 terminal": terminal,
    "I2 acknowledged": acknowledged,
    "I12 reason": reasons,
    "I4 log": log_whole,
    "I3 single effect": single_effect,
    "I7 serving": serves,
    "I11 capacity": capacity,
    "I5 orphans": no_orphans,
    "I9 database": database_sound,
    "I6 cache": cache_verifies,
    "I10 secrets": secrets_kept,
}
