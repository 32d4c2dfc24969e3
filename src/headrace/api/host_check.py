"""Which host names the API answers to. A page of another site can't reach it by pointing its own name here."""

from collections.abc import Iterable
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from headrace.api.problems import problem
from headrace.errors import BadRequest, WrongHost


class HostCheck:
    """Lets requests through whose one Host header is an address or one of `names`."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(given) != 1:
            error = BadRequest("a request needs exactly one Host header", code="host.unknown")
            await problem(scope, error)(scope, receive, send)
        elif not self.knows(given[0]):
            refused = WrongHost("this server has another name", hint="add the name to HEADRACE_HOSTS")
            await problem(scope, refused)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def knows(self, host: str) -> bool:
        name, address = _split(host)
        return name.lower() in self._names or (address and _is_address(name))


def _split(host: str) -> tuple[str, bool]:
    """The name without its port, and whether it may be an address."""
    if host.startswith("["):
        return host[1:].partition("]")[0], True
    return host.partition(":")[0], True


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
