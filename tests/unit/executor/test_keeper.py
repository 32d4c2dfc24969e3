"""How a supervisor keeps limits itself: by groups that look like those of the kernel, and by a watch over real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.executor._cgroup import Cgroup, CgroupMount, GroupLimits
from headrace.executor._keeper import LOOK_SECONDS, OwnKeeper, OwnLimits

ROOT = Path(__file__).parents[3]
LIMITS = OwnLimits(memory_bytes=2**20, pids=50, cpus=1.5, processors=(), groups=())


#: Runs with processes and file systems in memory of its own, and says what a watch saw before and after a process came.
WATCHED = """
import json, os, subprocess, sys
from pathlib import Path
from headrace.executor._watch import Watch
watch = Watch(os.open("/proc/self", os.O_RDONLY))
before = [*watch.look(), watch.memory()]
hold = "import sys, threading\\nx = bytearray(200 << 20)\\nt = threading.Thread(target=sys.stdin.read); t.start()\\nprint()"
child = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
Path("/tmp/file").write_bytes(bytes(50 << 20))
print(json.dumps([before, [*watch.look(), watch.memory()]]), [name.endswith(f"/{child.pid}") for name in watch.processes()].count(True))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_watch_sees_processes_their_threads_and_their_memory() -> None:
    # This repository may lie below /tmp itself.
    alone = (
        'exec 9<"$0" && mount -t tmpfs tmp /tmp && mount -t tmpfs shm /dev/shm && mkdir -p "$0" && '
        'mount --bind /proc/self/fd/9 "$0" && exec 9<&- && exec "$@"'
    )
    argv = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", alone, str(ROOT), sys.executable, "-c", WATCHED]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    numbers, _, found = done.stdout.rpartition(" ")
    before, after = json.loads(numbers)
    assert (after[0] - before[0], after[1] - before[1]) == (1, 2), "processes and tasks"
    assert int(found) == 1
    for quick_or_exact in (2, 3):
        assert 250 * 2**20 <= after[quick_or_exact] - before[quick_or_exact] < 300 * 2**20


def test_the_less_is_left_the_sooner_it_looks_again() -> None:
    keeper = OwnKeeper(Cgroup("/headrace/none", ()), LIMITS)
    assert keeper.wait() == LOOK_SECONDS, "before there is anything to look at"
    keeper.begin(os.getpid())
    assert keeper.wait() < LOOK_SECONDS
    roomy = OwnKeeper(Cgroup("/headrace/none", ()), LIMITS._replace(memory_bytes=2**40, pids=10**6))
    roomy.begin(os.getpid())
    assert roomy.wait() == LOOK_SECONDS
    keeper.remove()
    roomy.remove()


def test_a_group_that_was_given_gets_the_limits_of_both_versions(tmp_path: Path) -> None:
    mounts = []
    for name, controllers, files in (
        ("unified", "", "memory.max memory.swap.max pids.max cpu.max"),
        ("memory", "memory", "memory.limit_in_bytes memory.memsw.limit_in_bytes"),
        ("cpu", "cpu cpuacct", "cpu.cfs_quota_us cpu.cfs_period_us"),
    ):
        directory = tmp_path / name / "headrace/sbx_1"
        directory.mkdir(parents=True)
        for file in ("../../cgroup.procs", "cgroup.procs", *files.split()):
            (directory / file).touch()
        mounts.append(CgroupMount(str(tmp_path / name), frozenset(controllers.split())))
    group = Cgroup("/headrace/sbx_1", tuple(mounts))
    assert group.make(GroupLimits(memory_bytes=4096, pids=7, cpus=1.5))
    said = {path.name: path.read_text() for path in tmp_path.rglob("sbx_1/*")}
    assert said == {
        "cgroup.procs": "",
        "memory.max": "4096",
        "memory.swap.max": "0",
        "pids.max": "7",
        "cpu.max": "150000 100000",
        "memory.limit_in_bytes": "4096",
        "memory.memsw.limit_in_bytes": "4096",
        "cpu.cfs_quota_us": "150000",
        "cpu.cfs_period_us": "100000",
    }
    assert group.memory_limit() == 4096


def test_no_group_is_made_where_something_else_is_mounted(tmp_path: Path) -> None:
    group = Cgroup("/headrace/sbx_1", (CgroupMount(str(tmp_path), frozenset()),))
    assert not group.make(GroupLimits(memory_bytes=4096, pids=7))
    assert list(tmp_path.iterdir()) == []
