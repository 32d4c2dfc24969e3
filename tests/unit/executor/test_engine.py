"""How the processes of a command are ended where they must be killed one by one."""

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.waiting import wait_until

from headrace.executor._engine import stop_all

SHELL = "sleep 1000 & echo $!; wait; echo went on"


def test_a_shell_does_not_see_the_end_of_its_command() -> None:
    with subprocess.Popen(["sh", "-c", SHELL], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as shell:
        assert shell.stdout
        child = int(shell.stdout.readline())
        stop_all(lambda: {child, shell.pid})
        os.kill(child, signal.SIGKILL)
        _await_state(child, "Z")
        _await_state(shell.pid, "T")
        shell.kill()
        assert shell.stdout.read() == ""


def test_what_is_started_meanwhile_is_stopped_too() -> None:
    with subprocess.Popen(["sleep", "1000"]) as first, subprocess.Popen(["sleep", "1000"]) as second:
        seen = [{first.pid}, {first.pid, second.pid}, {first.pid, second.pid}]
        stop_all(lambda: seen.pop(0))
        for process in (first, second):
            _await_state(process.pid, "T")
            process.kill()


def test_who_always_finds_more_is_not_stopped_for_ever() -> None:
    none = iter(range(2**30, 2**31))
    began = time.monotonic()
    stop_all(lambda: {next(none)})
    assert time.monotonic() - began < 10


def _await_state(pid: int, wanted: str) -> None:
    wait_until(lambda: _state(pid) == wanted)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
