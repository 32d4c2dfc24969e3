"""
The way out of a sandbox: a proxy that listens on the sandbox's loopback and connects from the machine's network.

The socket is made inside the network namespace, the process that serves it is outside: nothing in the sandbox needs a
resolver, an interface or a right. A child of the supervisor that ends with it. Standard library only.
"""

import os
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path

from headrace import linux
from headrace.egress.front import FrontPlan, RegistryFront
from headrace.egress.ledger import Ledger
from headrace.egress.package_behind import package_behind
from headrace.egress.policy import Policy
from headrace.egress.proxy import AT_ONCE, Caps, Proxy
from headrace.errors import HeadraceError
from headrace.eventfile import EventFile
from headrace.executor._instructions import LEDGER, Instructions, first_process
from headrace.executor._output import event_record
from headrace.masking import Masker

_PORT = 3128


def make_network(at: str) -> socket.socket:
    """
    A new network namespace, with loopback up, mounted at the file `at`; and a socket that listens in it.
    A thread goes there and ends: who is not root could not come back.
    """
    made: list[socket.socket | OSError] = []
    visitor = threading.Thread(target=lambda: made.append(_listen_in_new_network(at)))
    visitor.start()
    visitor.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def _listen_in_new_network(at: str) -> socket.socket | OSError:
    try:
        linux.unshare(linux.CLONE_NEWNET)
        linux.loopback_up()
        listener = socket.create_server(("127.0.0.1", _PORT), backlog=AT_ONCE)
        Path(at).touch(mode=0o600)
        linux.mount("/proc/thread-self/ns/net", at, "none", linux.MS_BIND)
        return listener
    except OSError as exc:
        return exc


def listen_in(namespace: int) -> socket.socket:
    """A socket that listens in a network namespace that is there. The calling process, which has one thread, stays outside."""
    outside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        linux.enter_namespace(namespace, linux.CLONE_NEWNET)
        return socket.create_server(("127.0.0.1", _PORT), backlog=AT_ONCE)
    finally:
        linux.enter_namespace(outside, linux.CLONE_NEWNET)
        os.close(outside)


def start_proxy(listener: socket.socket, instructions: Instructions) -> int:
    """The proxy's process id. It ends when this process does."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        listener.close()
        return pid
    try:
        linux.die_with_parent(signal.SIGKILL)
        if os.getppid() == parent:
            _keep_only(listener.fileno())
            _proxy(instructions).serve(listener)
    finally:
        os._exit(1)


def _keep_only(descriptor: int) -> None:
    """The supervisor's lock and pipes must not live on in here."""
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, 4096)


def _proxy(instructions: Instructions) -> Proxy:
    egress = instructions.egress
    assert egress  # noqa: S101
    log, about = EventFile(Path(instructions.log)), instructions.origin.fields
    directory = Path(egress.directory) if egress.directory else None

    # Names of hosts are in lower case here.
    masker = Masker([form for value in instructions.secrets for form in (value, value.lower())])

    def tell(kind: str, **fields: object) -> None:
        fields = {name: masker.text(value) if isinstance(value, str) else value for name, value in fields.items()}
        # A log that has ended, or can't grow, takes no more; what was refused stays refused.
        with suppress(OSError, HeadraceError):
            log.append([event_record(kind, about, **fields)])

    def who(port: int) -> str:
        first = first_process(directory) if directory else None
        return package_behind(first, port, _PORT) if first else ""

    caps = Caps(bytes=egress.bytes, upload_bytes=egress.upload_bytes, connections=egress.connections)
    ledger = Ledger(directory / LEDGER if directory else None, masker.text)
    front = RegistryFront(FrontPlan(*egress.front)) if egress.front else None
    return Proxy(Policy(egress.phase, egress.hosts), caps, ledger, tell, who, front=front)
