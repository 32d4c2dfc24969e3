"""
Starts supervisors quickly: a small process per worker that has imported everything a supervisor needs, and forks.

Started with a socket as standard input. A request is the path of a command's directory; the answer is a descriptor of
the supervisor's process. It ends when the worker closes the socket; supervisors go on. Standard library only.
"""

import os
import signal
import socket
import sys
import traceback
from pathlib import Path

sys.path[:0] = [path for path in sys.argv[1:] if path not in sys.path]

from headrace.executor._supervisor import supervise  # noqa: E402 - the path comes from the command line: -I -S sets none


def serve(requests: socket.socket) -> None:
    # Supervisors are nobody's to wait for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while directory := requests.recv(4096):
        pid = os.fork()
        if pid == 0:
            requests.close()
            _become_supervisor(Path(os.fsdecode(directory)))
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            # It has ended already; what it left says how.
            requests.send(b"-")
            continue
        socket.send_fds(requests, [b"+"], [descriptor])
        os.close(descriptor)


def _become_supervisor(directory: Path) -> None:
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _redirect(directory)
        supervise(directory)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _redirect(directory: Path) -> None:
    """Nothing of the worker's stays open: its descriptors would outlive it."""
    nothing = os.open("/dev/null", os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.dup2(os.open(directory / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    os.closerange(3, 256)


if __name__ == "__main__":
    serve(socket.socket(fileno=0))
