"""
The other sandbox: leaves things where it may, says what it left, listens, and then will not go.

What it leaves must not be found by the sandbox that looks. That it goes nevertheless is H57.
"""

import ctypes
import json
import os
import signal
import socket
import time
from pathlib import Path

from headrace.executor._probe.files import writable_places

_PR_SET_CHILD_SUBREAPER = 36
_IPC_CREAT = 0o1000


def leave(mark: str) -> None:
    places = writable_places()
    for place in places:
        Path(place, mark).write_text("left by another sandbox")
    libc = ctypes.CDLL(None)
    libc.shmget(1234, 4096, _IPC_CREAT | 0o666)
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0{mark}")
    abstract.listen()
    listener = socket.create_server(("0.0.0.0", 0))  # noqa: S104 - whether anybody gets here is the question
    ids = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    largest = max(ids, key=lambda entry: entry[2])
    _stay(libc)
    said = {"places": list(places.values()), "ids": largest[1:], "port": listener.getsockname()[1]}
    print(json.dumps(said), flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(mark.encode())


def _stay(libc: ctypes.CDLL) -> None:
    """A tree of processes that adopts its orphans, hears no signal, is in sessions of its own, and in part stopped."""
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    for stopped in (False, True):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                if stopped:
                    os.kill(os.getpid(), signal.SIGSTOP)
                while True:
                    time.sleep(1000)
            os._exit(0)
