"""Fifty shapes of ends in a real sandbox: the reason is what happened, whatever status and log make of it."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.contract.conftest import on

from headrace.diagnostics.diagnose import diagnose
from headrace.logreader import log_lines
from headrace.model.diagnostic import FailureReason
from headrace.model.plan import PlannedCommand, StepId

if TYPE_CHECKING:
    from tests.contract.conftest import Lab

pytestmark = [pytest.mark.sandbox, on("crun")]

MIB = 2**20
SMALL = {"memory_bytes": 64 * MIB}
SOON = {"seconds": 0.7}
DISK = {"disk_bytes": 8 * MIB}
FILES = {"disk_files": 200}
PIDS = {"pids": 16}
LOG = {"log_bytes": 4096}

EAT = "python3 -c 'x = bytearray(200 << 20)'"
EAT_BEHIND = f"{EAT} & wait"
FILES_IN_MEMORY = (
    "head -c 60M /dev/zero > /tmp/a; head -c 60M /dev/zero > /dev/shm/b; python3 -c 'x = bytearray(60 << 20)'"
)
FILL = "for n in 1 2 3 4 5 6; do head -c 4M /dev/zero > part$n; done; sleep 5"
MANY = "mkdir m; i=0; while [ $i -lt 3000 ]; do : > m/$i; i=$((i+1)); done; sleep 5"
#: Waits for what it started, so that nothing but the limit ends it.
THREADS = """python3 -c '
import subprocess, sys
try:
    for _ in range(40): subprocess.Popen(["sleep", "3"])
except OSError as exc:
    sys.exit(f"no more: {exc}")'"""
HEAP = "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"
TYPES = "src/a.ts(1,2): error TS2322: no"


class End(NamedTuple):
    #: None where the command succeeded, whatever it looks like.
    reason: FailureReason | None
    script: str
    limits: Mapping[str, Any] = {}
    exit_code: int | None = None


R = FailureReason
ENDS = {
    # What was printed and returned says one thing, and it is true.
    "nothing said, 0": End(None, "true", {}, 0),
    "much said, 0": End(None, "yes | head -c 100000", {}, 0),
    "an error said, 0": End(None, f"echo '{TYPES}'; exit 0", {}, 0),
    "killed said, 0": End(None, "echo Killed >&2; echo 'Out of memory'", {}, 0),
    "a daemon left behind, 0": End(None, "sleep 1000 & exit 0", {}, 0),
    "a child that was killed, 0": End(None, "sh -c 'kill -9 $$'; exit 0", {}, 0),
    "a child that failed, 0": End(None, "false; true", {}, 0),
    "streams closed, 0": End(None, "exec >&- 2>&-; true", {}, 0),
    "a signal that it catches, 0": End(None, "trap 'exit 0' TERM; kill -TERM $$; sleep 5", {}, 0),
    "a log beyond its cap, 0": End(None, "yes | head -c 1000000", LOG, 0),
    "half of its memory, 0": End(None, "python3 -c 'x = bytearray(24 << 20)'", SMALL, 0),
    "half of its disk, 0": End(None, "head -c 3M /dev/zero > some", DISK, 0),
    # Codes, as they are and as they look like.
    "1": End(R.COMMAND_FAILED, "exit 1", {}, 1),
    "2": End(R.COMMAND_FAILED, "exit 2", {}, 2),
    "124, like timeout": End(R.COMMAND_FAILED, "exit 124", {}, 124),
    "125, like a container": End(R.COMMAND_FAILED, "exit 125", {}, 125),
    "126, like a file that can't run": End(R.COMMAND_FAILED, "exit 126", {}, 126),
    "134, like an abort": End(R.COMMAND_FAILED, "exit 134", {}, 134),
    "137, like a kill": End(R.COMMAND_FAILED, "exit 137", {}, 137),
    "143, like a polite kill": End(R.COMMAND_FAILED, "exit 143", {}, 143),
    "255": End(R.COMMAND_FAILED, "exit 255", {}, 255),
    "256 is 0": End(None, "exit 256", {}, 0),
    # Signals that it sends itself.
    "SIGHUP": End(R.COMMAND_FAILED, "kill -HUP $$", {}, 129),
    "SIGINT": End(R.COMMAND_FAILED, "kill -INT $$; sleep 5", {}, 130),
    "SIGILL": End(R.COMMAND_FAILED, "kill -ILL $$", {}, 132),
    "SIGABRT": End(R.COMMAND_FAILED, "kill -ABRT $$", {}, 134),
    "SIGKILL": End(R.COMMAND_FAILED, "kill -KILL $$", {}, 137),
    "SIGSEGV": End(R.COMMAND_FAILED, "kill -SEGV $$", {}, 139),
    "SIGTERM": End(R.COMMAND_FAILED, "kill -TERM $$; sleep 5", {}, 143),
    "SIGSYS": End(R.COMMAND_FAILED, "kill -SYS $$", {}, 159),
    # Programs that are not there, or can't be run.
    "no such program": End(R.COMMAND_FAILED, "exec ./nothing-here", {}, 127),
    "a file that is no program": End(R.COMMAND_FAILED, "echo x > data; exec ./data", {}, 126),
    # Words that would be a reason, if they were true.
    "a full heap said, 1": End(R.COMMAND_FAILED, f"echo '{HEAP}'; exit 1", {}, 1),
    "a full heap said, 134": End(R.COMMAND_FAILED, f"echo '{HEAP}'; echo Aborted; exit 134", {}, 134),
    "a full heap said before a real error": End(R.TYPE_ERROR, f"echo '{HEAP}'; echo '{TYPES}'; exit 2", {}, 2),
    "killed said, 137": End(R.COMMAND_FAILED, "echo Killed >&2; exit 137", {}, 137),
    "timeout said": End(R.COMMAND_FAILED, "echo 'stopped at its time limit'; exit 1", {}, 1),
    "our own words said": End(R.COMMAND_FAILED, "echo 'Build failed (build, out_of_memory)'; exit 1", {}, 1),
    "a type error said": End(R.TYPE_ERROR, f"echo '{TYPES}'; exit 2", {}, 2),
    "a type error in the last words of a flood": End(
        R.TYPE_ERROR, f"yes | head -c 1000000; echo '{TYPES}'; exit 2", LOG, 2
    ),
    # Limits, whatever comes of the command.
    "memory": End(R.OUT_OF_MEMORY, EAT, SMALL),
    "memory of a child, 0": End(R.OUT_OF_MEMORY, f"{EAT_BEHIND}; exit 0", SMALL),
    "memory after a type error": End(R.OUT_OF_MEMORY, f"echo '{TYPES}'; {EAT}; exit 2", SMALL),
    "files in memory": End(R.OUT_OF_MEMORY, FILES_IN_MEMORY, {"memory_bytes": 100 * MIB}),
    "time": End(R.TIMEOUT, "sleep 60", SOON),
    "time, without listening to signals": End(R.TIMEOUT, "trap '' TERM INT; while :; do sleep 60; done", SOON),
    "time, after words of a full heap": End(R.TIMEOUT, f"echo '{HEAP}'; sleep 60", SOON),
    "time, stopped": End(R.TIMEOUT, "kill -STOP $$; exit 0", SOON),
    "disk": End(R.DISK_FULL, FILL, DISK),
    "disk, by a file without a name": End(
        R.DISK_FULL,
        'for n in 3 4 5 6 7; do eval "exec $n> gone; rm gone; head -c 4M /dev/zero >&$n"; done; sleep 5',
        DISK,
    ),
    "a file beyond the limit of the disk": End(R.DISK_FULL, "exec head -c 30M /dev/zero > big", DISK, 153),
    "a file beyond the limit of the disk, of a child that nobody minds": End(
        None, "head -c 30M /dev/zero > big; true", DISK, 0
    ),
    "too many files": End(R.DISK_FULL, MANY, FILES),
    "too many processes": End(R.PIDS_LIMIT, THREADS, PIDS, 1),
}


async def test_the_reason_of_fifty_ends_is_what_happened(lab: "Lab") -> None:
    assert len(ENDS) >= 50
    some_at_once = asyncio.Semaphore(4)

    async def ended(number: int, end: End) -> tuple[FailureReason | None, int | None]:
        log = lab.log.with_name(f"{number}.ndjson")
        command = lab.shell(end.script, limits=dict(end.limits))
        async with some_at_once:
            sandbox = await lab.open(name=f"sbx_{number}")
            # A command's number is its place in its own sandbox.
            result = await sandbox.run(command.but(index=0), log)
            await sandbox.close()
        if result.exit_code == 0 and result.killed_by is None:
            return None, 0
        planned = PlannedCommand(argv=command.argv, limits=command.limits)
        failure = diagnose(StepId.BUILD, planned, result, log_lines(log, "build"), ["src/a.ts"])
        return failure.reason, result.exit_code

    found = await asyncio.gather(*(ended(number, end) for number, end in enumerate(ENDS.values())))
    expected = {name: (end.reason, end.exit_code) for name, end in ENDS.items()}
    assert dict(zip(ENDS, found, strict=True)) == expected
