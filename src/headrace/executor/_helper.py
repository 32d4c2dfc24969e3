"""
What needs rights over namespaces that an ordinary user's service hasn't, done by processes that the spawner forks: a
process with several threads can't go into a user namespace.

Standard library only: the spawner uses it.
"""

import fcntl
import os
import socket
from collections.abc import Callable
from typing import Any

from headrace import linux
from headrace.executor._namespace import GivenIds, enter_own_namespace
from headrace.executor._overlay import Writable, merged_directory

_NS_GET_USERNS = 0xB701


def in_child(work: Callable[[], int]) -> int:
    """The descriptor that `work` returns, which is called in a child process. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        try:
            ours.close()
            socket.send_fds(theirs, [b"+"], [work()])
        except OSError as exc:
            theirs.send(f"-{exc}".encode())
        finally:
            os._exit(0)
    theirs.close()
    with ours:
        answer, descriptors, _, _ = socket.recv_fds(ours, 4096, 1, socket.MSG_CMSG_CLOEXEC)
    if not descriptors:
        raise OSError(answer[1:].decode(errors="replace") or "the helper ended")
    return descriptors[0]


def overlay(asked: dict[str, Any]) -> int:
    """A directory descriptor of an overlay of this user's own directories, as root of a namespace that is gone afterwards."""
    writable = Writable(*asked["writable"]) if asked["writable"] else None

    def make() -> int:
        enter_own_namespace(GivenIds())
        return merged_directory(asked["lower"], writable, own_notes=True)

    return in_child(make)


def door(network: int) -> int:
    """
    One end of a socket pair: for each byte that is sent, the process at the other end answers with a TCP socket of the network
    namespace `network`. It ends when this end is closed.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        try:
            _keep_door(network, theirs.fileno())
        finally:
            os._exit(0)
    theirs.close()
    return ours.detach()


def _keep_door(network: int, channel: int) -> None:
    # What the spawner has open must not live on in here, its standard input least of all.
    nothing = os.open("/dev/null", os.O_RDWR)
    kept = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 10) for descriptor in (nothing, network, channel)]
    for number, descriptor in zip((0, 3, 4), kept, strict=True):
        os.dup2(descriptor, number)
    os.closerange(5, 4096)
    owner = fcntl.ioctl(3, _NS_GET_USERNS)
    linux.enter_namespace(owner, linux.CLONE_NEWUSER)
    linux.enter_namespace(3, linux.CLONE_NEWNET)
    os.close(owner)
    os.close(3)
    with socket.socket(fileno=4) as asked:
        while asked.recv(1):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
                socket.send_fds(asked, [b"+"], [made.fileno()])
