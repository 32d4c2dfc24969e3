"""
Starting an OCI runtime, also before it is known what for: a runtime has to be loaded first, so one is started beforehand and waits
until its configuration can be read. Standard library only: the supervisor uses it.
"""

import fcntl
import json
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from headrace import linux
from headrace.executor._output import output_pipe
from headrace.executor._runtime import ContainerFailed, Runtime, await_end, run_argv

#: A runtime that takes longer is broken.
_START_SECONDS = 60
_LOAD_SECONDS = 5
_LOOK_SECONDS = 0.001


class Launch:
    """
    One container's start. Its bundle and the runtime's notes are at `place`, which only this process and the runtime see.
    Without `groups` the container stays in the control groups that the runtime is in.
    """

    def __init__(self, runtime: Runtime, place: Path, *, groups: bool = True) -> None:
        self.runtime = runtime
        #: The ends to read and to write of what the container prints.
        self.stdout, self.stderr = output_pipe(), output_pipe()
        #: Descriptor 3 of the container's first process is the other end.
        self.control, self._theirs = (end.detach() for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
        self._place = place
        # Runtimes join the keyring of this name: no two containers may have the same.
        self._argv = run_argv(runtime, place, secrets.token_hex(16), groups=groups)
        self._process: _Process | None = None
        self._gate = -1
        place.mkdir(mode=0o700)

    def hold(self) -> None:
        """Start the runtime, and return when it waits for its configuration. Raises OSError."""
        gate = self._place / "config.json"
        os.mkfifo(gate, 0o600)
        self._process = self._start()
        end = time.monotonic() + _LOAD_SECONDS
        while self._gate < 0 and time.monotonic() < end and not self._process.has_ended(_LOOK_SECONDS):
            with suppress(OSError):  # it doesn't read yet
                self._gate = os.open(gate, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if self._gate < 0:
            self.forget()

    def run(self, config: Path, enter: Callable[[], None]) -> int:
        """
        The container of this configuration; returns the process id of its first process. `enter` is called in the process that
        becomes the runtime, unless one waits. Raises ContainerFailed.
        """
        if self._process and self._process.has_ended():
            self.forget()
        # Runtimes read it more than once: from the second time on there is a file.
        aside = self._place / "config"
        aside.symlink_to(config)
        aside.rename(self._place / "config.json")
        if self._process:
            self._open_gate(config)
        else:
            self._process = self._start(enter)
        if not self._process.has_ended(_START_SECONDS):
            self._process.kill()
        if code := self._process.exit_code():
            raise ContainerFailed(self._message() or f"{self.runtime.kind} ended with {code}")
        os.close(self._theirs)
        return int((self._place / "pid").read_text())

    def forget(self) -> None:
        """The runtime that waits."""
        if self._gate >= 0:
            os.close(self._gate)
            self._gate = -1
        if self._process:
            self._process.kill()
            self._process.exit_code()
            self._process = None

    def _start(self, enter: Callable[[], None] = lambda: None) -> "_Process":
        """It gets nothing as standard input, and ends when we do."""
        if pid := os.fork():
            return _Process(pid)
        try:
            os.setpgid(0, 0)
            linux.die_with_parent(signal.SIGKILL)
            enter()
            nothing = os.open("/dev/null", os.O_RDONLY)
            # Above 9 first, so that none of the four is overwritten before it is in its place.
            descriptors = (nothing, self.stdout[1], self.stderr[1], self._theirs)
            for number, descriptor in enumerate([fcntl.fcntl(d, fcntl.F_DUPFD_CLOEXEC, 10) for d in descriptors]):
                os.dup2(descriptor, number)
            os.execve(self._argv[0], self._argv, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "XDG_RUNTIME_DIR": "/run"})
        finally:
            os._exit(127)

    def _open_gate(self, config: Path) -> None:
        os.set_blocking(self._gate, True)
        with suppress(BrokenPipeError), os.fdopen(self._gate, "wb") as gate:
            gate.write(config.read_bytes())
        self._gate = -1

    def _message(self) -> str:
        with suppress(OSError, ValueError, KeyError, IndexError):
            lines = (self._place / "runtime.log").read_text().splitlines()
            return f"{self.runtime.kind}: {json.loads(lines[-1])['msg']}"
        return ""


class _Process:
    """A child of this process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor = os.pidfd_open(pid)

    def has_ended(self, seconds: float = 0) -> bool:
        """Waits so long for it."""
        return await_end(self._descriptor, seconds)

    def kill(self) -> None:
        signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def exit_code(self) -> int:
        """To be asked once, when it has ended."""
        os.close(self._descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
