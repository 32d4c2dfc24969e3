"""Runs programs that make projects: through npx, without questions, or in a terminal in which each question gets a key."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_SECONDS = 300
#: A generator that has said nothing for this long waits for a key.
_QUIET_SECONDS = 2.5
_ENVIRONMENT = {
    "npm_config_yes": "true",
    "YARN_ENABLE_IMMUTABLE_INSTALLS": "false",
    "YARN_ENABLE_TELEMETRY": "0",
}
#: Keys by name; every other word is typed as it is.
_KEYS = {"return": "\r", "down": "\x1b[B", "up": "\x1b[A", "space": " "}


def npx(words: Sequence[str], directory: Path, *, keys: Sequence[str] | None = None) -> None:
    """
    Run a program of a package in `directory`. With `keys` it has a terminal: each key answers a question, and when all are typed,
    Return does.
    """
    run(["npx", *words], directory, keys=keys)


def run(command: Sequence[str], directory: Path, *, keys: Sequence[str] | None = None) -> None:
    environment = {**os.environ, **_ENVIRONMENT}
    ended = (
        _quietly(command, directory, environment)
        if keys is None
        else _in_terminal(command, directory, environment, [_KEYS.get(key, key) for key in keys])
    )
    if not ended:
        sys.stderr.write(f"{' '.join(command)}: stopped after {_SECONDS} s\n")


def _quietly(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> bool:
    """False when it had to be stopped."""
    with subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            # What npx started would go on without it.
            os.killpg(process.pid, signal.SIGKILL)
            return False
    return True


def _in_terminal(command: Sequence[str], directory: Path, environment: Mapping[str, str], keys: list[str]) -> bool:
    """False when it had to be stopped."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(directory)
        os.execvpe(command[0], list(command), dict(environment))  # noqa: S606 - the terminal's child
    try:
        ended = _answer(terminal, keys)
        if not ended:
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    finally:
        os.close(terminal)
    return ended


def _answer(terminal: int, keys: list[str]) -> bool:
    """Type a key whenever it is quiet, until the program has ended. False when its time is over."""
    until = time.monotonic() + _SECONDS
    said = False
    while time.monotonic() < until:
        if select.select([terminal], [], [], _QUIET_SECONDS)[0]:
            try:
                said = bool(os.read(terminal, 65536)) or said
            except OSError:
                # The other end is closed: it has ended.
                return True
        elif said:
            os.write(terminal, (keys.pop(0) if keys else "\r").encode())
            said = False
    return False
