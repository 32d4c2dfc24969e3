"""A worker's side of supervisors: starting one, following it to its end, asking it to end."""

import asyncio
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import headrace
from headrace.egress.ledger import read_ledger
from headrace.errors import EngineLost, ExecutorUnavailable
from headrace.executor._instructions import LEDGER, ask_to_kill
from headrace.executor._namespace import Ground
from headrace.executor._runtime import Runtime
from headrace.model.sandbox import CommandResult, HostUse, KillReason

_SOURCE = str(Path(headrace.__file__).parent.parent)


class Spawner:
    """
    Starts supervisors through a small process that forks them: see `_spawner`. With `ground` for containers, without it for
    commands that run where we do.
    """

    def __init__(self, ground: Ground | None = None) -> None:
        self._ground = ground
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, directory: Path, runtime: Runtime | None) -> int | None:
        """
        A descriptor of a new supervisor's process; None when it has ended already. `runtime` is that of its container, and
        likely of the next one.
        """
        return self.ask({"supervise": os.fsdecode(directory), "runtime": runtime})

    def ask(self, request: Mapping[str, Any], *descriptors: int) -> int | None:
        """The descriptor that answers `request`. Raises ExecutorUnavailable."""
        with self._lock:
            for attempt in (1, 2):
                try:
                    return self._request(json.dumps(request).encode(), descriptors)
                except OSError as exc:
                    # It was killed. What it forked lives on; the next one is as good.
                    self._stop()
                    if attempt == 2:
                        raise ExecutorUnavailable(f"no supervisor could be started: {exc}") from exc
        return None

    def warm(self) -> None:
        """Start the process, if it isn't there, before it is needed."""
        with self._lock:
            if self._socket is None:
                self._begin()

    def close(self) -> None:
        with self._lock:
            self._stop()

    def __del__(self) -> None:
        self._stop()

    def _request(self, message: bytes, descriptors: Sequence[int]) -> int | None:
        connection = self._socket or self._begin()
        socket.send_fds(connection, [message], descriptors)
        answer, made, _, _ = socket.recv_fds(connection, 4096, 1, socket.MSG_CMSG_CLOEXEC)
        if not answer:
            raise ConnectionResetError("the spawner ended")
        if answer.startswith(b"-"):
            raise ExecutorUnavailable(
                f"a helper failed: {answer[1:].decode(errors='replace')}", hint="try: headrace doctor"
            )
        return made[0] if made else None

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        script = str(Path(__file__).with_name("_spawner.py"))
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", script, _SOURCE, *([json.dumps(self._ground)] if self._ground else [])],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env=_environment(),
            )
        self._socket = ours
        return ours

    def _stop(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
        self._socket = self._process = None


def _environment() -> dict[str, str]:
    """Nothing of the service's: its secrets are no business of a process that is near to tenants."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def has_started(directory: Path) -> bool:
    """Whether a supervisor has taken this command, be it alive or not."""
    with suppress(FileNotFoundError):
        return (directory / "lock").stat().st_size > 0
    return False


def has_ended(directory: Path) -> bool:
    return (directory / "exit.json").exists()


def supervisor(directory: Path) -> int | None:
    """A descriptor of the living supervisor of this command."""
    try:
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        descriptor = None
        if words := os.pread(lock, 64, 0).split():
            with suppress(ProcessLookupError):
                descriptor = os.pidfd_open(int(words[0]))
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            # Held now, so the process we have opened is the holder, unless that had not written its number yet.
            return descriptor
        if descriptor is not None:
            os.close(descriptor)
        return None
    finally:
        os.close(lock)


async def until_end(descriptor: int) -> None:
    """Wait until the process ends; closes its descriptor."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def read_result(directory: Path) -> CommandResult | None:
    """
    How the command ended; None while it runs, or when its supervisor was killed. Raises ExecutorUnavailable; EngineLost for a
    command that did not begin and may be tried again, in another directory.
    """
    try:
        given = json.loads((directory / "exit.json").read_bytes())
    except FileNotFoundError:
        return None
    if given.get("lost"):
        raise EngineLost(given["failed"], hint="start it again; builds that wait for it go on")
    if "failed" in given:
        raise ExecutorUnavailable(f"the command could not be started: {given['failed']}", hint="try: headrace doctor")
    return CommandResult.model_validate({**given, "network": _network(directory)})


def _network(directory: Path) -> list[HostUse]:
    """Counted by the proxy while it ran: whoever was killed, it is there."""
    return [HostUse.counted(*use) for use in read_ledger(directory / LEDGER)]


def seconds_since_start(directory: Path) -> float:
    """Since the supervisor of this command took it."""
    with suppress(OSError, ValueError, IndexError):
        return max(0.0, time.monotonic() - float((directory / "lock").read_text().split()[1]))
    return 0.0


def end_supervisor(directory: Path, reason: KillReason, patience: float) -> None:
    """Ask a supervisor to end its command, and end the supervisor itself when it doesn't. Blocks for up to `patience`."""
    ask_to_kill(directory, reason)
    descriptor = supervisor(directory)
    if descriptor is None:
        return
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        if not poller.poll(patience * 1000):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            poller.poll(1000)
    finally:
        os.close(descriptor)
