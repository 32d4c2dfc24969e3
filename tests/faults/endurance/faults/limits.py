"""Commands that take more than they may, don't end, or leave something behind."""

import time
from collections.abc import Sequence

from endurance.injection import fault
from endurance.rig import Promised, Rig

DONE = "node count.js build 5 1 1"


@fault("F26", "a command takes more memory than there is", executors=("oci",))
def out_of_memory(rig: Rig) -> None:
    hungry = "node -e 'const a = []; for (;;) a.push(Buffer.alloc(1 << 24, 1))'"
    # The first process, a child whose parent says that all is well, or files that lie in memory.
    script = rig.random.choice((f"exec {hungry}", f"{hungry} || true; {DONE}"))
    _ends(rig, script, "failed", ("out_of_memory",))


@fault("F28", "a fork bomb with daemons that ignore signals", executors=("oci",))
def fork_bomb(rig: Rig) -> None:
    # It may end by itself, or never.
    end = rig.random.choice(("sleep 1; exit 1", "sleep 1000"))
    script = f"trap '' TERM HUP INT; bomb() {{ bomb | bomb & }}; setsid sleep 1000 & bomb; {end}"
    # All of the bomb's processes may be refused at once and be gone. Then only its time ends what goes on waiting.
    build = rig.script(script, seconds=40)
    _expect(rig, build, "failed", ("pids_limit", "command_failed", "out_of_memory", "timeout"))


@fault("F35", "a daemon keeps the output open")
def daemon(rig: Rig) -> None:
    began = time.monotonic()
    _ends(rig, f"(setsid sleep 1000 &) ; {DONE}", "succeeded")
    assert time.monotonic() - began < 30


@fault("F36", "a build that ignores signals is cancelled")
def deaf(rig: Rig) -> None:
    build = rig.script("trap '' TERM INT HUP; echo ready; while :; do sleep 1; done")
    rig.server.until_logged(build.id, '"line":"ready"')
    build.may_be = ("cancelled",)
    began = time.monotonic()
    rig.server.cancel(build.id)
    rig.server.until_ended(build.id, seconds=15)
    assert time.monotonic() - began < 15


@fault("F37", "a command says nothing until its time is over")
def silent(rig: Rig) -> None:
    build = rig.script("sleep 1000", seconds=2)
    _expect(rig, build, "failed", ("timeout",))


@fault("F0", "a build fails by itself, and the server is killed in the moment of its end")
def failing(rig: Rig) -> None:
    build = rig.script(f"node count.js build {rig.random.randint(1, 30)} 1 5; exit 3")
    build.may_be, build.reasons = ("failed",), ("command_failed",)
    rig.server.until_logged(build.id, '"build.command.completed"')
    rig.pause(0.1)
    rig.server.kill()
    rig.server.start()


def _ends(rig: Rig, script: str, status: str, reasons: Sequence[str] = ()) -> None:
    _expect(rig, rig.script(script), status, reasons)


def _expect(rig: Rig, build: Promised, status: str, reasons: Sequence[str]) -> None:
    build.may_be, build.reasons = (status,), tuple(reasons)
    rig.server.until_ended(build.id, seconds=60)
