"""
Where git runs: it reads what strangers' servers send, so it gets as little of this machine as it needs.

The thread that does the work of one fetch leaves the machine's network and mounts for its own, and every git command that it starts
is there with it: a network of nothing but a proxy that connects to the one host at the addresses that were checked; everything
read-only but the mirrors and the directory that is filled; the rest of the data directory not there. A git process has
no capability and sees no process but its own. When the thread ends, all of it is gone.
"""

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from headrace import linux
from headrace.egress.ledger import Ledger
from headrace.egress.policy import Policy
from headrace.egress.proxy import AT_ONCE, Caps, Proxy
from headrace.model.sandbox import HostUse
from headrace.settings import Settings
from headrace.source._remote import Remote

_log = structlog.get_logger(__name__)

#: Ends with what it became, and takes the name of no process outside with it.
_OWN_PROCESSES = ("unshare", "--pid", "--ipc", "--fork", "--kill-child=KILL", "--mount-proc", "--")
_NO_RIGHTS = ("setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--")
#: git asks for one thing at a time, and sends what it has to name it.
_CONNECTIONS, _UPLOAD_BYTES = 1000, 64 << 20


def _nothing() -> Sequence[HostUse]:
    return ()


@dataclass(frozen=True)
class Confined:
    """`within` is the command that git commands are put behind; `proxy` the way to the host, None for a direct one."""

    within: tuple[str, ...] = ()
    proxy: str | None = None
    network: Callable[[], Sequence[HostUse]] = _nothing


def why_not_isolated() -> str | None:
    """What keeps git from being isolated on this machine; None when nothing does."""
    if os.geteuid() != 0:
        return "Headrace does not run as root"
    missing = [name for name, *_ in (_OWN_PROCESSES, _NO_RIGHTS) if shutil.which(name) is None]
    return f"{' and '.join(missing)} of util-linux can't be found" if missing else None


@contextmanager
def confined(
    settings: Settings, writable: Sequence[Path], remote: Remote, addresses: Sequence[str]
) -> Iterator[Confined]:
    """
    For the rest of the calling thread's life, which must be short and its own. Where this process may not do that (without root),
    git runs as the service does and is only tied to `addresses`.
    """
    if why_not_isolated():
        yield Confined()
        return
    try:
        network, listener = _new_network()
    except OSError as exc:
        _log.warning("git runs without isolation", error=str(exc))
        yield Confined()
        return
    for path in writable:
        path.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        held.callback(os.close, network)
        held.callback(_close, listener)
        ledger = _serve(listener, remote, addresses, settings.upload_bytes)
        _leave_mounts(settings.data_dir, writable, settings.ca_file)
        linux.enter_namespace(network, linux.CLONE_NEWNET)
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}" if remote.host else None
        yield Confined(
            within=(*_found(_OWN_PROCESSES), *_found(_NO_RIGHTS)),
            proxy=proxy,
            network=lambda: [HostUse.counted(*use) for use in ledger.uses()],
        )


def _new_network() -> tuple[int, socket.socket]:
    """A network namespace with loopback alone, and a socket that listens in it. A thread goes there and ends."""
    made: list[tuple[int, socket.socket]] = []
    failed: list[OSError] = []

    def visit() -> None:
        try:
            linux.unshare(linux.CLONE_NEWNET | linux.CLONE_NEWNS)
            # Some machines let a process have mounts of its own and not change them: known before anything is changed.
            linux.mount("none", "/", "none", linux.MS_REC | linux.MS_PRIVATE)
            linux.loopback_up()
            listener = socket.create_server(("127.0.0.1", 0), backlog=AT_ONCE)
            made.append((os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC), listener))
        except OSError as exc:
            failed.append(exc)

    visitor = threading.Thread(target=visit, name="network")
    visitor.start()
    visitor.join()
    if failed:
        raise failed[0]
    return made[0]


def _serve(listener: socket.socket, remote: Remote, addresses: Sequence[str], most_bytes: int) -> Ledger:
    """In the machine's network, where the calling thread still is. Nothing is served for a repository of this machine."""
    ledger = Ledger(None)
    host = f"[{remote.host}]" if ":" in remote.host else remote.host
    # Checked already, as the operator's list of git hosts has it: whatever address that is.
    policy = Policy("git", [f"{host}:{remote.port}"] if remote.host else [])
    # The size of a file that git writes is the limit of a fetch. This one only ends what goes round in circles.
    caps = Caps(bytes=8 * most_bytes + (1 << 30), upload_bytes=_UPLOAD_BYTES, connections=_CONNECTIONS)

    def tell(kind: str, **fields: object) -> None:
        _log.warning("git was refused a connection", kind=kind, repository_host=remote.host, **fields)

    proxy = Proxy(policy, caps, ledger, tell, lambda _: "", resolve=lambda *_: addresses)
    threading.Thread(target=proxy.serve, args=(listener,), name="git proxy", daemon=True).start()
    return ledger


def _close(listener: socket.socket) -> None:
    # Closing alone would leave the thread that waits in `accept` there.
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _leave_mounts(hidden: Path, writable: Sequence[Path], kept: Path | None) -> None:
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", "none", linux.MS_REC | linux.MS_PRIVATE)
    hidden = hidden.resolve()
    files = [kept.resolve()] if kept and kept.resolve().is_relative_to(hidden) else []
    places = [path.resolve() for path in writable]
    clones = {path: linux.clone_mount(str(path)) for path in (*places, *files)}
    try:
        linux.make_all_read_only()
        # What lies above is covered first, so that it covers nothing of what lies below.
        for path in sorted({hidden, *clones}, key=lambda path: len(path.parts)):
            if path in clones:
                _attach(clones[path], path, is_file=path in files)
            else:
                linux.mount("headrace", str(path), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=700,size=1m")
    finally:
        for clone in clones.values():
            os.close(clone)


def _attach(clone: int, path: Path, *, is_file: bool) -> None:
    if is_file and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    elif not path.exists():
        path.mkdir(parents=True)
    linux.attach_mount(clone, str(path))


def _found(command: Sequence[str]) -> tuple[str, ...]:
    return (str(shutil.which(command[0])), *command[1:])
