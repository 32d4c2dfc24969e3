"""
Starts supervisors quickly: a small process per executor that has imported everything a supervisor needs, and forks. One
supervisor is always ready, with what it needs for a container made beforehand.

    python -I -S _spawner.py SOURCE [GROUND]

with a socket as standard input; GROUND is what supervisors of containers stand on, as JSON. A request is JSON, the answer a
descriptor or an error: {"supervise": DIRECTORY} is answered with the supervisor's process; the others are for those who are not
root, see `_helper`. It ends when the worker closes the socket; supervisors go on. Standard library only.
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
from headrace.executor._supervisor import Prepared, supervise

#: The next supervisor is made when the runtime of this one has had the processors for itself.
_QUIET_SECONDS = 0.03
_MESSAGE = 2**16


class _Supervisor:
    """A process that waits for the directory of its command."""

    def __init__(self, spawner: socket.socket, ground: Ground | None) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if self._pid == 0:
            spawner.close()
            self._channel.close()
            _become_supervisor(theirs, ground)
        theirs.close()
        self.descriptor = os.pidfd_open(self._pid)

    def start(self, directory: bytes) -> bool:
        """False when it isn't there any more."""
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
    spare: _Supervisor | None = _Supervisor(requests, ground)
    poller = select.poll()
    poller.register(requests, select.POLLIN)
    while True:
        if spare is None and not poller.poll(_QUIET_SECONDS * 1000):
            spare = _Supervisor(requests, ground)
        message, descriptors, _, _ = socket.recv_fds(requests, _MESSAGE, 1, socket.MSG_CMSG_CLOEXEC)
        if not message:
            return
        asked = json.loads(message)
        if "supervise" not in asked:
            _help(requests, asked, descriptors)
            continue
        directory = os.fsencode(asked["supervise"])
        if spare is None or not spare.start(directory):
            if spare:
                spare.forget()
            spare = _Supervisor(requests, ground)
            spare.start(directory)
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


def _become_supervisor(channel: socket.socket, ground: Ground | None) -> NoReturn:
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        gc.disable()
        prepared = _prepare(ground) if ground else None
        if directory := channel.recv(4096):
            channel.close()
            gc.enable()
            _redirect(os.fsdecode(directory))
            if isinstance(prepared, OSError) and ground and ground.given is None:
                prepared = _prepare(ground)
            supervise(Path(os.fsdecode(directory)), prepared)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _prepare(ground: Ground) -> Prepared | OSError:
    try:
        return Prepared(ground)
    except OSError as exc:
        return exc


def _read_ground(text: str) -> Ground:
    stage, given = json.loads(text)
    return Ground(stage, None if given is None else GivenIds(*given))


def _redirect(directory: str) -> None:
    """Nothing of the worker's stays open: its descriptors would outlive it."""
    nothing = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    log = os.open(f"{directory}/supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    for number, descriptor in enumerate((nothing, nothing, log)):
        os.dup2(descriptor, number)


if __name__ == "__main__":
    serve(socket.socket(fileno=0), _read_ground(sys.argv[2]) if len(sys.argv) > 2 else None)
