"""
Processes of `headrace` that need not import it: forked from one that has. An interpreter of its own takes two seconds of a
processor for that, and the tests start hundreds. Environment, directory, output and session are the process's own; what
`/proc` says of its command line and of its first environment is not.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Protocol

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["__main__", "headrace.asgi", "headrace.cli.main", "headrace.cli.serve", "tests.warm"])


class Started(Protocol):
    """What tests use of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class Forked:
    """`headrace` with these arguments. What it says goes to the end of `log`."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._process: ForkServerProcess = _context.Process(target=_run, args=(arguments, dict(environment), str(log)))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired("headrace", timeout or 0)
        return code


def _run(arguments: list[str], environment: dict[str, str], log: str) -> None:
    os.setsid()
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(said, stream)
    os.close(said)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["headrace", *arguments]

    from headrace.cli.main import main

    main()
