"""The container engine of the executor `docker`."""

import time

from endurance.injection import fault
from endurance.rig import Rig


@fault("F48", "the container engine is killed, and comes back", executors=("docker",), own_rig=True, long=True)
def engine_killed(rig: Rig) -> None:
    assert rig.engine
    goes_on, waits = rig.counting(lines=100), rig.script("node count.js build 5 1 1")
    rig.until_phase(goes_on, "build")
    rig.engine.kill()
    another = rig.counting(lines=10)
    rig.pause(6)
    rig.engine.start()
    # What ran in a container did not need the engine; what wanted one waited for it.
    for build in (goes_on, waits, another):
        row = rig.server.until_ended(build.id, seconds=60)
        assert row["status"] == "succeeded", row["failure"]


@fault("F48b", "the container engine is killed, and stays away", executors=("docker",), own_rig=True, long=True)
def engine_gone(rig: Rig) -> None:
    assert rig.engine
    rig.server.until_ended(rig.counting(lines=5).id, seconds=280)  # all controls are tried before the first
    rig.engine.kill()
    build = rig.counting(lines=5)
    build.may_be, build.reasons = ("failed",), ("engine_lost",)
    began = time.monotonic()
    rig.server.until_ended(build.id, seconds=60)
    assert time.monotonic() - began > 5, "one attempt was all"
    rig.engine.start()
