"""Clocks that jump."""

from pathlib import Path

from endurance.injection import fault
from endurance.rig import Rig

_LIBRARY = "libfaketimeMT.so.1"


@fault("F38", "the clock jumps by an hour, forth or back", own_rig=True)
def jump(rig: Rig) -> None:
    rig.server.stop()
    offset = rig.place / "offset"
    offset.write_text("+0s\n")
    library = next(Path("/usr/lib").glob(f"*/faketime/{_LIBRARY}"))
    faked = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    rig.server = rig.another_server(env=faked)
    rig.server.start()
    builds = [rig.counting(lines=100), rig.counting(lines=100, install=True)]
    rig.until_phase(builds[0], "build")
    offset.write_text(rig.random.choice(("+3600s\n", "-3600s\n")))
    for build in builds:
        row = rig.server.until_ended(build.id, seconds=60)
        assert row["status"] == "succeeded", row["failure"]
        events = rig.server.events(build.id)
        started = [e for e in events if e["type"] == "build.started"]
        assert len(started) == 1, f"it was taken for dead: {started}"
        assert all(e.get("seconds", 0) >= 0 for e in events), "a negative duration"
        assert all(state["seconds"] < 600 for state in row["steps"]), row["steps"]
