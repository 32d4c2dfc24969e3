"""Which site, if any, a `Host` header names. One form of a name is the right one; everything else is brought to it or refused."""

import re
from collections.abc import Collection
from ipaddress import ip_address

_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?)(?::[0-9]{0,5})?")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

#: Not a label: the host is the server's own.
OWN = ""


class UnknownHost(Exception):
    """The host is neither the server's own nor below its domain."""


class Addresses:
    """Sites answer at `{label}.{domain}`; `own` hosts, the domain itself and bare IP addresses are the server's own."""

    def __init__(self, domain: str, own: Collection[str] = ()) -> None:
        domain = domain.lower().rstrip(".")
        self._below = f".{domain}"
        self._own = {domain, "localhost", *(host.lower() for host in own)}

    def label(self, host: bytes) -> str:
        """
        The label of a site, or OWN. Raises UnknownHost, also for a header that is no host at all. A name below the domain
        that can't be a label is returned as it is: no deployment has it.
        """
        found = _HOST.fullmatch(host.decode("latin-1").lower())
        if found is None:
            raise UnknownHost
        name = found["v6"] or found["name"]
        # A page can make its own name resolve to this machine, but never a bare address: those can't be a trap.
        if name in self._own or _is_address(name):
            return OWN
        if not name.endswith(self._below):
            raise UnknownHost
        return name.removesuffix(self._below)


def is_label(label: str) -> bool:
    return _LABEL.fullmatch(label) is not None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
