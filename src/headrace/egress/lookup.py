"""Names are looked up in a bounded time: the system's resolver waits for silent name servers as long as it was told to."""

import socket
import threading
from collections.abc import Callable, Collection

#: host, port -> addresses. Raises OSError.
Resolve = Callable[[str, int], Collection[str]]

LOOKUP_SECONDS = 10.0


def resolve(host: str, port: int) -> Collection[str]:
    """Addresses of a host, as the system has them."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def look_up(
    host: str,
    port: int,
    resolve: Resolve = resolve,
    *,
    check: Callable[[], None] = lambda: None,
) -> Collection[str]:
    """
    `resolve` with a limit. Raises OSError; a name server that is silent counts as one that says "try again". `check` is called
    while this waits, and may raise.
    """
    found: list[Collection[str]] = []
    failed: list[OSError] = []

    def ask() -> None:
        try:
            found.append(resolve(host, port))
        except OSError as exc:
            failed.append(exc)

    # The system's resolver can't be interrupted, only left behind.
    asking = threading.Thread(target=ask, name="resolve", daemon=True)
    asking.start()
    for _ in range(max(1, int(LOOKUP_SECONDS / 0.05))):
        asking.join(0.05)
        if not asking.is_alive():
            break
        check()
    if failed:
        raise failed[0]
    if not found:
        raise socket.gaierror(socket.EAI_AGAIN, "no name server answers")
    return found[0]
