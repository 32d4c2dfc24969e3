"""
What a sandbox keeps from a hostile command, beside what the probe tries (`test_executor_controls`). The numbers are those of the
list of controls.
"""

import asyncio
import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.contract.conftest import on
from tests.mounts import mounts_with

from headrace.executor._fork_bomb import MANY_SECONDS
from headrace.executor._instructions import first_process
from headrace.executor._mounts import STAGE
from headrace.executor._namespace import given_ids
from headrace.model.sandbox import KillReason

if TYPE_CHECKING:
    from tests.contract.conftest import Lab

pytestmark = [pytest.mark.sandbox, on("runc", "crun")]


async def test_two_sandboxes_have_different_ids_and_nothing_in_common_to_write(lab: "Lab") -> None:
    layer = lab.layer("source", given="1")
    one, two = await lab.open(layer, name="sbx_a"), await lab.open(layer, name="sbx_b")
    leave = (
        "for d in /app /tmp /home/builder /dev/shm; do touch $d/left; stat -c '%d:%i' $d; done; cat /proc/self/uid_map"
    )
    look = leave.replace("touch $d/left", "ls -A $d")
    running = asyncio.create_task(one.run(lab.shell(f"{leave}; echo ready; sleep 1000"), lab.log))
    await lab.until_printed("ready")
    first = lab.text().removesuffix("\nready").split()
    second = (await lab.says(two, look)).split()
    await one.kill(KillReason.CANCELLED)
    await running
    # H7, H33, H34
    assert "left" not in second
    assert not {word for word in first if ":" in word} & {word for word in second if ":" in word}
    if not lab.rootless or given_ids().length:
        assert _root_of(first) != _root_of(second), "the ids on the machine"


async def test_a_planted_message_on_the_host_cannot_be_reached(lab: "Lab") -> None:
    # H37-H39: abstract sockets, loopback, and a service on all addresses of the machine
    with socket.socket(socket.AF_UNIX) as abstract, socket.create_server(("0.0.0.0", 0)) as service:  # noqa: S104
        name = f"headrace-planted-{os.getpid()}"
        abstract.bind(f"\0{name}")
        abstract.listen()
        port = service.getsockname()[1]
        sandbox = await lab.open()
        source = (
            "import socket\n"
            "def reach(f, a):\n"
            "    s = socket.socket(f); s.settimeout(5)\n"
            "    try: s.connect(a); print('reached')\n"
            "    except OSError as e: print(type(e).__name__, e.errno)\n"
            f"reach(socket.AF_UNIX, '\\0{name}')\n"
            f"for host in ('127.0.0.1', '10.0.2.2', '{_own_address()}'): reach(socket.AF_INET, (host, {port}))\n"
        )
        await sandbox.run(lab.command(("python3", "-c", source)), lab.log)
    assert len(lab.text().splitlines()) == 4
    assert "reached" not in lab.text()


def held(megabytes: int) -> str:
    """A command that has so much for a while: where a supervisor looks itself, it looks now and then."""
    return f"python3 -c 'import time; x = bytearray({megabytes} << 20); time.sleep(30)'"


async def test_memory_ends_at_its_limit_even_if_the_command_says_it_went_well(lab: "Lab") -> None:
    # H49, F26
    sandbox = await lab.open()
    eat = f"{held(400)}; echo went on; exit 0"
    result = await sandbox.run(lab.shell(eat, limits={"memory_bytes": 100 * 2**20}), lab.log)
    assert (result.exit_code, result.killed_by) == (None, KillReason.MEMORY)
    assert result.peak_memory_bytes
    # A watch sees it when it has happened.
    most = 100 if lab.has_groups("memory") else 400
    assert 80 * 2**20 < result.peak_memory_bytes <= most * 2**20


async def test_files_in_memory_count_as_memory(lab: "Lab") -> None:
    sandbox = await lab.open()
    # Either of these places holds less.
    fill = f"head -c 60M /dev/zero > /tmp/a; head -c 60M /dev/zero > /dev/shm/b; {held(60)}"
    result = await sandbox.run(lab.shell(fill, limits={"memory_bytes": 100 * 2**20}), lab.log)
    assert result.killed_by == KillReason.MEMORY


async def test_a_fork_bomb_ends_at_the_limit_of_processes(lab: "Lab") -> None:
    # H50, F28
    sandbox = await lab.open()
    bomb = "f() { f | f & }; f; sleep 1; echo survived"
    result = await sandbox.run(lab.shell(bomb, limits={"pids": 50, "seconds": 20}), lab.log)
    assert result.seconds < 20
    assert "Cannot fork" in lab.text("stderr")
    # A watch may come too late for a bomb that is over within milliseconds.
    assert result.pids_limit_hit or not lab.has_groups("pids")


async def test_a_fork_bomb_that_goes_on_is_ended(lab: "Lab") -> None:
    # Without groups nobody counts what it was refused, and its time limit ends it.
    counted = lab.has_groups("pids")
    sandbox = await lab.open()
    bomb = "import os, time\nwhile True:\n  try: os.fork()\n  except OSError: time.sleep(0.05)"
    limits = {"pids": 50, "seconds": 60 if counted else 3}
    result = await sandbox.run(lab.command(("python3", "-c", bomb), limits=limits), lab.log)
    assert result.killed_by == (KillReason.PROCESSES if counted else KillReason.TIMEOUT)
    assert not counted or result.seconds >= MANY_SECONDS


async def test_processors_are_limited(lab: "Lab") -> None:
    # H51
    sandbox = await lab.open()
    burn = "timeout 2 sh -c 'while :; do :; done & while :; do :; done'"
    result = await sandbox.run(lab.shell(burn, limits={"cpus": 0.5}), lab.log)
    assert result.cpu_seconds
    # Without groups, a part of a processor is a whole one.
    assert result.cpu_seconds / result.seconds < (0.6 if lab.has_groups("cpu") else 1.1)


async def test_programs_count_as_many_processors_as_they_get(lab: "Lab") -> None:
    sandbox = await lab.open()
    assert (await lab.says(sandbox, "nproc", limits={"cpus": 1})).strip() == "1"
    everything = len(os.sched_getaffinity(0))
    assert (await lab.says(sandbox, "nproc", limits={"cpus": everything})).strip() == str(everything)


async def test_one_huge_sparse_file_is_refused(lab: "Lab") -> None:
    # H53
    sandbox = await lab.open()
    said = await lab.says(sandbox, "truncate -s 100G big 2>&1; echo $?", limits={"disk_bytes": 2**24})
    assert said.split()[-1] == "153", said


async def test_a_first_process_that_is_killed_from_outside_is_no_success(lab: "Lab") -> None:
    sandbox = await lab.open()
    running = asyncio.create_task(sandbox.run(lab.shell("echo begun; sleep 1000"), lab.log))
    await lab.until_printed("begun")
    await sandbox.running()
    init = first_process(lab.sandboxes / "sbx_1/commands/0")
    assert init is not None
    os.kill(init, signal.SIGKILL)
    result = await running
    assert (result.exit_code, result.killed_by, result.output.lines) == (None, KillReason.LOST, 1)


async def test_nothing_of_a_closed_sandbox_is_left_on_the_machine(lab: "Lab") -> None:
    # I5
    sandbox = await lab.open(lab.layer("source", given="1"), name=f"sbx_{os.getpid()}")
    running = asyncio.create_task(sandbox.run(lab.shell("echo begun; setsid sleep 1000 & sleep 1000"), lab.log))
    await lab.until_printed("begun")
    assert bool(groups_of(sandbox.spec.id)) == lab.has_groups("memory")
    await sandbox.close()
    await running
    assert groups_of(sandbox.spec.id) == ""
    assert mounts_with(STAGE) == []
    assert mounts_with(lab.settings.data_dir) == []
    assert list((lab.settings.data_dir / "stage").glob("*")) == []
    assert not list(lab.settings.data_dir.glob("sandboxes/*"))


def groups_of(name: str) -> str:
    argv = ["find", "/sys/fs/cgroup", "-name", f"*-{name}"]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def _root_of(words: list[str]) -> str:
    """What `uid_map` says that id 0 is."""
    words = [word for word in words if word.isdigit()]
    return words[words.index("0") + 1]


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            any_socket.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.2"
        return str(any_socket.getsockname()[0])
