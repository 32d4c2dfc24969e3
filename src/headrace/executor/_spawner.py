"""
Starts supervisors quickly: a small process per executor that has imported everything a supervisor needs, and forks. One
supervisor is always ready, with what it needs for a container made beforehand.

    python -I -S _spawner.py SOURCE [GROUND]

with a socket as standard input; GROUND is what supervisors of containers stand on, as JSON. A request is JSON, the answer a
descriptor or an error: {"supervise": DIRECTORY, "runtime": RUNTIME or null} is answered with the supervisor's process; the others
are for those who are not root, see `_helper`. It ends when the worker closes the socket; supervisors go on. Standard library only.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

if __name__ == "__main__":
    # Started with -I -S, which looks for modules nowhere but in the standard library.
    sys.path.insert(0, sys.argv[1])

from headrace.executor import _helper
from headrace.executor._namespace import GivenIds, Ground
from headrace.executor._runtime import Runtime
from headrace.executor._supervisor import Prepared, supervise

#: The next supervisor is made when the runtime of this one has had the processors for itself.
_QUIET_SECONDS = 0.03
_MESSAGE = 2**16


class _Supervisor:
    """A process that waits for the directory of its command, with what a container of `runtime` needs."""

    def __init__(self, ground: Ground | None, runtime: Runtime | None) -> None:
        self._runtime = runtime
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if self._pid == 0:
            _let_go_of_standard_streams()
            self._channel.close()
            _become_supervisor(theirs, ground, runtime)
        theirs.close()
        self.descriptor = os.pidfd_open(self._pid)

    def start(self, directory: bytes, runtime: Runtime | None) -> bool:
        """False when it isn't there any more, or was made for another runtime."""
        if self._runtime not in (None, runtime):
            return False
        with suppress(OSError), self._channel:
            return self._channel.send(directory) > 0
        return False

    def forget(self) -> None:
        self._channel.close()
        os.close(self.descriptor)


def serve(requests: socket.socket, ground: Ground | None) -> None:
    gc.freeze()  # what is forked shares these pages as long as nobody looks through them
    # Nobody asks how a supervisor ended: what it wrote says so.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # That of the command before, as long as nobody asks for another.
    runtime: Runtime | None = None
    spare: _Supervisor | None = _Supervisor(ground, runtime)
    poller = select.poll()
    poller.register(requests, select.POLLIN)
    while True:
        if spare is None and not poller.poll(_QUIET_SECONDS * 1000):
            spare = _Supervisor(ground, runtime)
        message, descriptors, _, _ = socket.recv_fds(requests, _MESSAGE, 1, socket.MSG_CMSG_CLOEXEC)
        if not message:
            return
        asked = json.loads(message)
        if "supervise" not in asked:
            _help(requests, asked, descriptors)
            continue
        directory = os.fsencode(asked["supervise"])
        runtime = Runtime(*asked["runtime"]) if asked["runtime"] else None
        if spare is None or not spare.start(directory, runtime):
            if spare:
                spare.forget()
            spare = _Supervisor(ground, None)
            spare.start(directory, runtime)
        socket.send_fds(requests, [b"+"], [spare.descriptor])
        spare.forget()
        spare = None


def _help(requests: socket.socket, asked: dict[str, Any], given: list[int]) -> None:
    try:
        made = _helper.overlay(asked["overlay"]) if "overlay" in asked else _helper.door(given[0])
    except OSError as exc:
        requests.send(f"-{exc}".encode()[:_MESSAGE])
        return
    finally:
        for descriptor in given:
            os.close(descriptor)
    socket.send_fds(requests, [b"+"], [made])
    os.close(made)


def _become_supervisor(channel: socket.socket, ground: Ground | None, runtime: Runtime | None) -> NoReturn:
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        gc.disable()
        prepared = _prepare(ground, runtime) if ground else None
        if directory := channel.recv(4096):
            channel.close()
            gc.enable()
            _write_errors_to(os.fsdecode(directory))
            if isinstance(prepared, OSError) and ground and ground.given is None:
                prepared = _prepare(ground, None)
            supervise(Path(os.fsdecode(directory)), prepared)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _prepare(ground: Ground, runtime: Runtime | None) -> Prepared | OSError:
    try:
        return Prepared(ground, runtime)
    except OSError as exc:
        return exc


def _read_ground(text: str) -> Ground:
    stage, given = json.loads(text)
    return Ground(stage, None if given is None else GivenIds(*given))


def _let_go_of_standard_streams() -> None:
    """Nothing of the worker's stays open: its descriptors would outlive it. The spawner's socket is one of them."""
    nothing = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)


def _write_errors_to(directory: str) -> None:
    log = os.open(f"{directory}/supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(log, 2)
    os.close(log)


if __name__ == "__main__":
    serve(socket.socket(fileno=0), _read_ground(sys.argv[2]) if len(sys.argv) > 2 else None)
