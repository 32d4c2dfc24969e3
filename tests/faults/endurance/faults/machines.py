"""What the whole machine is short of: memory, processes. A control group around the server and its builds stands for the machine."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import wait_until

from endurance.injection import fault
from endurance.rig import Promised, Rig

_MEMORY_BYTES = 384 * 2**20
_HUNGRY = "node -e 'const a = []; for (;;) a.push(Buffer.alloc(1 << 22, 1))'"
#: What a client may be told while no process can be started.
_NOT_NOW = (503, 507)


@fault("F27", "the machine runs out of memory", executors=("process",), own_rig=True, long=True)
def memory(rig: Rig) -> None:
    with _machine(rig, "memory") as group:
        # Less than the command's own limit, which so is never met.
        (group / "memory.limit_in_bytes").write_text(str(_MEMORY_BYTES))
        server = rig.server.pid
        build = rig.script(f"echo ready; sleep 1; {_HUNGRY}")
        rig.server.until_logged(build.id, '"line":"ready"')
        killed_first = _adjusted(rig.first_process(build))
        assert killed_first > max(_adjusted(server), _adjusted(rig.supervisor(build)))
        build.may_be, build.reasons = ("failed",), ("out_of_memory",)
        rig.server.until_ended(build.id, seconds=60)
        assert rig.server.running, "the server was killed and not the build"
        assert rig.server.pid == server


@fault("F30", "no process or thread can be started", executors=("process",), own_rig=True, long=True)
def processes(rig: Rig) -> None:
    with _machine(rig, "pids") as group:
        running, waits = rig.counting(lines=200), list[Promised]()
        rig.until_phase(running, "build")
        (group / "pids.max").write_text((group / "pids.current").read_text())
        try:
            end = time.monotonic() + 4
            while time.monotonic() < end:
                answer = rig.server.ask("GET", f"/builds/{running.id}")
                assert answer.is_success or answer.status_code in _NOT_NOW, answer.text
                waits = waits or _asked(rig)
                time.sleep(0.1)
        finally:
            (group / "pids.max").write_text("max")
        for build in (running, *waits):
            build.may_be, build.reasons = ("succeeded", "failed"), ("executor_unavailable", "sandbox_died")
        assert rig.server.running


def _asked(rig: Rig) -> list[Promised]:
    """A build; none when the answer is that the machine can't take it now."""
    try:
        return [rig.counting(lines=5)]
    except AssertionError as exc:
        if "server.short" not in str(exc):
            raise
        return []


def _adjusted(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


@contextmanager
def _machine(rig: Rig, controller: str) -> Iterator[Path]:
    """
    The server is started again in a group of its own, which it takes for the machine's: what it makes for builds is below. Only
    with version 1, where the tree of one controller can be replaced by a part of it.
    """
    tree = Path("/sys/fs/cgroup") / controller
    group = tree / f"headrace-machine-{rig.random.getrandbits(32):08x}"
    group.mkdir()
    subprocess.run(["mount", "--bind", str(group), str(tree)], check=True)
    group = tree
    enter = ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh"]
    try:
        rig.server.stop()
        rig.server = rig.another_server(wrap=enter)
        rig.server.start()
        yield group
    finally:
        rig.kill_everything()
        subprocess.run(["umount", "-l", str(tree)], check=True)
        _removed(tree, rig)
        rig.server = rig.another_server()
        rig.server.start()


def _removed(tree: Path, rig: Rig) -> None:
    """The group with everything below it, once nothing runs there."""

    def gone() -> bool:
        for left in sorted(tree.glob("headrace-machine-*/**/"), reverse=True):
            try:
                left.rmdir()
            except OSError:
                return False
        return True

    wait_until(gone, 20, f"the end of {rig.place.name}'s groups")
