"""
What a command may reach, decided from names and addresses alone. Standard library only: the proxy uses it.

Whatever is not allowed here does not exist for a sandbox: its network has no interface but loopback.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_PORTS = (80, 443)
#: Not known as special to every version of Python: protocol assignments and cloud metadata among them, relays, translators
#: within a network, and an address that is public by its number but answers with a virtual machine's secrets.
_SPECIAL = [
    ipaddress.ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "64:ff9b:1::/48", "2001::/23", "5f00::/16")
]
#: IPv6 addresses that stand for an IPv4 address, and where in them it is.
_TRANSLATED = ((ipaddress.ip_network("64:ff9b::/96"), 0), (ipaddress.ip_network("2002::/16"), 80))


class Denied(Exception):
    """The message says why."""


class Destination(NamedTuple):
    host: str
    port: int


class Policy:
    """The phase of a command and the hosts that the operator configured, `name` or `name:port`."""

    def __init__(self, phase: str, hosts: Iterable[str]) -> None:
        self._phase = phase
        self._configured = set()
        for entry in hosts:
            try:
                host, port = parse_authority(entry, 0)
            except ValueError:
                continue
            self._configured |= {(host, number) for number in ((port,) if port else _PORTS)}

    @property
    def only_reads(self) -> bool:
        """Whether nothing may be sent but questions, where that can be seen."""
        return self._phase == "registries"

    def is_configured(self, where: Destination) -> bool:
        return tuple(where) in self._configured

    def check_name(self, where: Destination) -> None:
        """Raises Denied for what may not even be resolved."""
        if tuple(where) in self._configured:
            return
        if self._phase != "internet":
            raise Denied(f"not a host that this step may reach (network: {self._phase})")
        if where.port not in _PORTS:
            raise Denied("only ports 80 and 443 are open")
        if is_address(where.host):
            # An address says nothing of whom it belongs to, and has no name that TLS could prove.
            raise Denied("hosts are reached by their names")

    def check_addresses(self, where: Destination, addresses: Sequence[str]) -> list[str]:
        """Those of `addresses` that may be connected to. Raises Denied when none may."""
        if tuple(where) in self._configured:
            # The operator's choice, at whatever address it is.
            return list(addresses)
        public = [address for address in addresses if is_public(address)]
        if not public:
            raise Denied("its address is not on the public internet")
        return public


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Whether an address is on the public internet: not private, not local, not shared, no metadata service."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return is_public(str(ip.ipv4_mapped))
        for network, shift in _TRANSLATED:
            if ip in network:
                return is_public(str(ipaddress.IPv4Address(int(ip) >> shift & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _SPECIAL)


def parse_authority(text: str, default_port: int) -> Destination:
    """`host`, `host:port`, `[v6]:port`. Raises ValueError."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(text)
        port = rest[1:]
        host = str(ipaddress.IPv6Address(host))
    else:
        host, _, port = text.partition(":")
    host = host.lower().removesuffix(".")
    if not host or len(host) > 253 or not all(c.isalnum() or c in "-._:" for c in host) or not host.isascii():
        raise ValueError(text)
    if port and not (port.isascii() and port.isdigit()):
        raise ValueError(text)
    number = int(port) if port else default_port
    if not 0 <= number < 65536 or (port and not number):
        raise ValueError(text)
    return Destination(host, number)
