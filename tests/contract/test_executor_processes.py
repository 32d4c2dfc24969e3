"""What only executors with real processes can get wrong: floods, long lines, processes that don't want to go, killed supervisors."""

import asyncio
import hashlib
import os
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract.conftest import on

from headrace.executor._follow import Spawner
from headrace.model.sandbox import KillReason

if TYPE_CHECKING:
    from tests.contract.conftest import Lab

pytestmark = [
    pytest.mark.sandbox,
    on("runc", "crun", "process"),
]

#: Each ends only when it is killed for good.
STUBBORN = {
    "ignores TERM": "trap '' TERM INT HUP; echo begun; while :; do sleep 1000; done",
    "stopped": "echo begun; kill -STOP $$; sleep 1000",
    "own session": "setsid sh -c 'sleep 1000' & echo begun; sleep 1000",
    "double fork": "(setsid sh -c 'sleep 1000 & sleep 1000 &' &) ; echo begun; sleep 1000",
    "forks on": "f() { sleep 0.05; f & f; }; echo begun; f & sleep 1000",
}


@pytest.mark.parametrize("kind", STUBBORN)
async def test_whatever_a_command_does_it_is_gone_when_it_is_killed(lab: "Lab", kind: str) -> None:
    sandbox = await lab.open()
    mark = f"headrace-{os.getpid()}-{time.monotonic_ns()}"
    command = lab.shell(STUBBORN[kind], env={"MARK": mark}, limits={"pids": 100, "seconds": 30})
    running = asyncio.create_task(sandbox.run(command, lab.log))
    await lab.until_printed("begun")
    await asyncio.sleep(0.3)
    assert _marked(mark), (running, lab.events())
    await asyncio.wait_for(sandbox.kill(KillReason.CANCELLED), 20)
    assert (await running).killed_by == KillReason.CANCELLED
    assert _marked(mark) == []


async def test_a_daemon_that_holds_the_pipes_does_not_hold_up_the_end(lab: "Lab") -> None:
    sandbox = await lab.open()
    began = time.monotonic()
    result = await sandbox.run(lab.shell("nohup setsid sleep 1000 & sleep 0.1; echo done; exit 4"), lab.log)
    assert (result.exit_code, result.background_killed) == (4, 1)
    assert time.monotonic() - began < 30


async def test_a_line_of_100_mb_arrives_whole_in_pieces(lab: "Lab") -> None:
    sandbox = await lab.open()
    size = 100_000_000
    source = "import sys\nfor _ in range(100): sys.stdout.write('x' * 1_000_000)"
    result = await sandbox.run(lab.command(("python3", "-c", source)), lab.log)
    assert (result.output.lines, result.output.bytes) == (1, size)
    digest = hashlib.sha256()
    for line in lab.lines():
        assert line["eol"] is False
        digest.update(line["line"].encode())
    assert result.output.sha256 == digest.hexdigest()


async def test_a_million_lines_arrive_in_order(lab: "Lab") -> None:
    sandbox = await lab.open()
    result = await sandbox.run(lab.shell("seq 1000000"), lab.log)
    assert result.output.lines == 1_000_000
    pattern = re.compile(rb'{"seq":(\d+),.*"line":"(\d+)"}')
    with lab.log.open("rb") as stored:
        for number, line in enumerate(stored, start=1):
            found = pattern.fullmatch(line.rstrip())
            assert found
            assert (int(found[1]), int(found[2])) == (number, number)
    assert number == 1_000_000


async def test_a_flood_costs_no_more_than_the_cap(lab: "Lab") -> None:
    sandbox = await lab.open()
    result = await sandbox.run(lab.shell("yes | head -c 500000000", limits={"log_bytes": 2**20}), lab.log)
    assert result.exit_code == 0
    assert result.output.bytes + result.output.truncated_bytes == 500_000_000
    assert lab.log.stat().st_size < 200 * 2**20


async def test_a_line_without_newline_is_shown_after_a_second(lab: "Lab") -> None:
    sandbox = await lab.open()
    running = asyncio.create_task(sandbox.run(lab.shell("printf 'Password: '; sleep 1000"), lab.log))
    await asyncio.wait_for(lab.until_printed("Password: "), 30)
    assert lab.lines()[0]["eol"] is False
    await sandbox.kill(KillReason.CANCELLED)
    await running


async def test_the_exit_code_of_a_signal_is_128_and_its_number(lab: "Lab") -> None:
    sandbox = await lab.open()
    assert (await sandbox.run(lab.shell("kill -SEGV $$"), lab.log)).exit_code == 139
    assert (await sandbox.run(lab.shell("kill -KILL $$"), lab.log)).exit_code == 137
    assert lab.events() == [], "what a shell would say of it is not said"


async def test_a_killed_supervisor_is_noticed_and_leaves_nothing(lab: "Lab") -> None:
    sandbox = await lab.open()
    mark = f"headrace-{os.getpid()}-{time.monotonic_ns()}"
    command = lab.shell("echo begun; setsid sleep 1000 & sleep 1000", env={"MARK": mark})
    running = asyncio.create_task(sandbox.run(command, lab.log))
    await lab.until_printed("begun")
    os.kill(_supervisor_of(lab), signal.SIGKILL)
    result = await running
    assert (result.exit_code, result.killed_by) == (None, KillReason.LOST)
    assert _marked(mark) == []
    assert await sandbox.run(command, lab.log) == result


async def test_a_supervisor_outlives_the_process_that_started_it(lab: "Lab") -> None:
    sandbox = await lab.open()
    command = lab.shell("echo begun; sleep 1; echo ended; exit 6")
    running = asyncio.create_task(sandbox.run(command, lab.log))
    await lab.until_printed("begun")
    running.cancel()
    spawner: Spawner = lab.executor._spawner  # type: ignore[attr-defined]
    assert spawner._process
    spawner._process.kill()
    successor = await lab.another_executor().open(sandbox.spec)
    assert (await successor.run(command, lab.log)).exit_code == 6
    assert lab.text() == "begun\nended"


async def test_a_terminated_supervisor_ends_its_command_and_writes_down_how(lab: "Lab") -> None:
    sandbox = await lab.open()
    running = asyncio.create_task(sandbox.run(lab.shell("echo begun; sleep 1000"), lab.log))
    await lab.until_printed("begun")
    os.kill(_supervisor_of(lab), signal.SIGTERM)
    result = await running
    assert (result.killed_by, result.output.lines) == (KillReason.LOST, 1)


def _supervisor_of(lab: "Lab") -> int:
    (lock,) = lab.settings.data_dir.glob("*/sbx_1/commands/*/lock")
    return int(lock.read_text().split()[0])


def _marked(mark: str) -> list[int]:
    """Processes of this machine that have MARK in their environment."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"MARK={mark}".encode() in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
        except OSError:
            continue
    return found
