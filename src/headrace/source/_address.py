"""
Which addresses a git host may have. Everything that is not the public internet is refused, unless the operator listed the host.

The connection then goes to the very addresses that were checked: a name that changes its answer between the check and the
connection gains nothing.
"""

import ipaddress
import socket
from collections.abc import Collection

from headrace.egress.lookup import Resolve, look_up, resolve
from headrace.errors import InvalidInput, StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.source._failures import source_failed
from headrace.source._remote import Remote
from headrace.source._stop import Stop

_NOT_PUBLIC_V4 = [
    ipaddress.IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        # Azure's metadata and agent service looks like any public address.
        "168.63.129.16/32",
    )
]
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
#: Parts of 2000::/3 that carry another address inside or lead nowhere public. 64:ff9b::/96 is outside of it anyway.
_NOT_PUBLIC_V6 = [ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]


def is_public(address: str) -> bool:
    # A link-local address can carry a zone, `fe80::1%eth0`.
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in _NOT_PUBLIC_V4)
    return parsed in _PUBLIC_V6 and not any(parsed in network for network in _NOT_PUBLIC_V6)


def addresses_of(
    remote: Remote, allowed_hosts: Collection[str], stop: Stop, resolve: Resolve = resolve
) -> tuple[str, ...]:
    """
    The addresses that may be connected to. Raises InvalidInput (`source.address_forbidden`) when any address of the host is not
    public and the operator did not list the host; StepFailed when there is none.
    """
    try:
        found = tuple(look_up(remote.host, remote.port, resolve, check=stop.check))
    except OSError as exc:
        raise _unresolved(remote, exc) from exc
    if not found:
        raise _unresolved(remote, None)
    if remote.host not in {host.lower() for host in allowed_hosts} and not all(is_public(address) for address in found):
        raise InvalidInput(
            f"{remote.host} is at an address that is not on the public internet",
            hint="the operator can allow this host with HEADRACE_GIT_HOSTS",
            code="source.address_forbidden",
            field="/url",
        )
    return found


def _unresolved(remote: Remote, exc: OSError | None) -> StepFailed:
    if isinstance(exc, socket.gaierror) and exc.errno == socket.EAI_AGAIN:
        return source_failed(
            FailureReason.SOURCE_UNREACHABLE,
            f"the name {remote.host} could not be looked up (dns_failure)",
            hint="the name server does not answer; try again later",
        )
    return source_failed(
        FailureReason.SOURCE_NOT_FOUND, f"there is no host named {remote.host}", hint="check the repository's address"
    )


def resolve_option(remote: Remote, addresses: Collection[str]) -> str:
    """git's `http.curloptResolve` that ties the host to `addresses`."""
    shown = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
    return f"{remote.host}:{remote.port}:{shown}"
