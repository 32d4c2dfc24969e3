"""H37 to H48: what can be reached. With a network phase everything but the proxy on loopback is as without one."""

import os
import socket
import struct
import time
from collections.abc import Callable, Iterable

from headrace.executor._probe.attempt import Seen, tried
from headrace.executor._probe.given import Given

#: There is no way at all, and the kernel says so at once: builds must not wait for what never comes.
_NO_WAY = frozenset({"ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EACCES", "EPERM"})
_REFUSED = _NO_WAY | {"ECONNREFUSED"}
_PROXY = ("127.0.0.1", 3128)

_METADATA = ("169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
_METADATA_NAMES = (
    "metadata.google.internal",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
)
_PRIVATE = (
    "10.0.0.1",
    "10.0.2.2",
    "172.16.0.1",
    "172.17.0.1",
    "192.168.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.1.1",
    "198.18.0.1",
    "224.0.0.1",
)
_SIX = (
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "fe80::1",
    "fc00::1",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "ff02::1",
)
_RESOLVERS = (
    ("8.8.8.8", 53),
    ("1.1.1.1", 53),
    ("1.1.1.1", 853),
    ("8.8.8.8", 443),
    ("127.0.0.53", 53),
    ("127.0.0.11", 53),
)
_SERVICES = (22, 25, 111, 631, 2375, 2376, 3306, 5432, 6379, 7700, 8000, 8080, 9000, 10250)


def own_network(given: Given) -> Seen:
    found = {f"abstract {name}": tried(lambda n=name: _connect_abstract(n)) for name in given.planted.abstract}  # type: ignore[misc]
    own = os.readlink("/proc/self/ns/net") != given.planted.namespaces.get("net")
    return _closed(found, extra={"own namespace": own}, and_also=own)


def nothing_but_loopback(given: Given) -> Seen:
    names = [name for _, name in socket.if_nameindex()]
    found, slowest = _connect_all((address, port) for address in ("1.1.1.1", "8.8.8.8") for port in (80, 443))
    extra = {"interfaces": names, "slowest": round(slowest, 2)}
    return _closed(found, allowed=_NO_WAY, extra=extra, and_also=names == ["lo"])


def no_host_services(given: Given) -> Seen:
    """Ports that listen on all addresses of the machine, and those where services usually are."""
    places = [(address, port) for address in given.planted.addresses for port in (*given.planted.ports, *_SERVICES)]
    loopback = [("127.0.0.1", port) for port in (*given.planted.ports, *_SERVICES) if port != _PROXY[1]]
    found, _ = _connect_all([*places, *loopback])
    return _closed(found)


def no_metadata(given: Given) -> Seen:
    found, _ = _connect_all((address, 80) for address in _METADATA)
    resolved = tried(lambda: socket.getaddrinfo("metadata.google.internal", 80))
    found["metadata.google.internal"] = "ENETUNREACH" if resolved != "done" else "resolved"
    if given.allowed:
        found |= {f"proxy: {name}": _ask_proxy(f"GET http://{name}/ HTTP/1.1") for name in _METADATA_NAMES}
    return _closed(found, allowed=_REFUSED | {"403", "400"})


def no_private_addresses(given: Given) -> Seen:
    found, _ = _connect_all((address, port) for address in _PRIVATE for port in (80, 443))
    if given.allowed:
        found |= {f"proxy: {address}": _ask_proxy(f"CONNECT {address}:443 HTTP/1.1") for address in _PRIVATE}
    return _closed(found, allowed=_REFUSED | {"403"})


def no_way_by_six(given: Given) -> Seen:
    found, _ = _connect_all((address, 443) for address in _SIX)
    if given.allowed:
        found |= {f"proxy: {address}": _ask_proxy(f"CONNECT [{address}]:443 HTTP/1.1") for address in _SIX}
    return _closed(found, allowed=_REFUSED | {"403", "EINVAL"})


def only_allowed_hosts(given: Given) -> Seen:
    """Without a network phase there is no proxy at all. With one it leads to what was configured, and nowhere else."""
    if given.allowed is None:
        return _closed({"proxy": tried(lambda: socket.create_connection(_PROXY, timeout=5).close())})
    host, _, port = given.allowed.partition(":")
    reached = _ask_proxy(f"CONNECT {given.allowed} HTTP/1.1")
    asked = {
        "another host": "CONNECT example.com:443 HTTP/1.1",
        "an address": "CONNECT 1.1.1.1:443 HTTP/1.1",
        "the allowed address by number": f"CONNECT 127.0.0.1:{port} HTTP/1.1",
        "another port of the allowed host": f"CONNECT {host}:{int(port) % 60000 + 1} HTTP/1.1",
        "ssh": f"CONNECT {host}:22 HTTP/1.1",
        "mail": "CONNECT example.com:25 HTTP/1.1",
        "a name before the host": f"CONNECT {given.allowed}@example.com:443 HTTP/1.1",
        "no proxy request": f"GET / HTTP/1.1\r\nHost: {given.allowed}",
    }
    found = {name: _ask_proxy(request) for name, request in asked.items()}
    return _closed(found, allowed={"403", "400"}, extra={"the allowed host": reached}, and_also=reached == "200")


def registries_are_read(given: Given) -> Seen:
    """Where the proxy can see what is asked."""
    if given.allowed is None:
        return _closed({"proxy": tried(lambda: socket.create_connection(_PROXY, timeout=5).close())})
    methods = ("PUT", "POST", "DELETE", "PATCH")
    asked = {method: f"{method} http://{given.allowed}/package HTTP/1.1\r\nContent-Length: 0" for method in methods}
    # The third refusal of a place is a closed connection.
    return _closed({method: _ask_proxy(request) for method, request in asked.items()}, allowed={"403", "closed"})


def no_resolver(given: Given) -> Seen:
    found, _ = _connect_all(_RESOLVERS)
    for address in ("8.8.8.8", "127.0.0.53", "127.0.0.11"):
        found[f"{address}:53 udp"] = tried(lambda a=address: _ask_resolver(a))  # type: ignore[misc]
    resolved = tried(lambda: socket.getaddrinfo("example.com", 443))
    return _closed(found, extra={"example.com": resolved}, and_also=resolved != "done")


def no_rules_to_lose(given: Given) -> Seen:
    """No rule of the machine's firewall keeps anything away: there is no interface that could be let through, and no route."""
    names = [name for _, name in socket.if_nameindex()]
    routes = [line.split()[0] for line in _lines("/proc/net/route")[1:]]
    routes += [line.split()[-1] for line in _lines("/proc/net/ipv6_route") if line.split()[-1] != "lo"]
    return Seen(names == ["lo"] and not routes, {"interfaces": names, "routes": routes})


def _connect_all(places: Iterable[tuple[str, int]]) -> tuple[dict[str, str], float]:
    """What came of connecting to each, and how long the slowest took."""
    found, slowest = {}, 0.0
    for address, port in places:
        began = time.monotonic()
        found[f"{address}:{port}"] = tried(lambda a=address, p=port: _connect(a, p))  # type: ignore[misc]
        slowest = max(slowest, time.monotonic() - began)
    return found, slowest


def _connect(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(3)
        connection.connect((address, port))


def _connect_abstract(name: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(3)
        connection.connect(f"\0{name}")


def _ask_resolver(address: str) -> None:
    question = struct.pack(">6H", 1, 0x100, 1, 0, 0, 0) + b"\x07example\x03com\0" + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(1)
        connection.connect((address, 53))
        connection.send(question)
        connection.recv(512)


def _ask_proxy(request: str) -> str:
    """The status of the proxy's answer; "closed" when there was none."""
    try:
        with socket.create_connection(_PROXY, timeout=20) as proxy:
            proxy.sendall(request.encode() + b"\r\n\r\n")
            words = proxy.recv(4096).split(b" ", 2)
    except OSError as exc:
        return type(exc).__name__
    return words[1].decode() if len(words) > 1 else "closed"


def _closed(
    found: dict[str, str],
    *,
    allowed: Iterable[str] = _REFUSED,
    extra: dict[str, object] | None = None,
    and_also: bool = True,
) -> Seen:
    """Holds when all came to an `allowed` end. What went another way is said; else how many were tried, and how they ended."""
    ends = set(allowed)
    reached = {name: came for name, came in found.items() if came not in ends}
    seen: dict[str, object] = dict(reached) or {"tried": len(found), "ended": sorted(set(found.values()))}
    return Seen(not reached and and_also, seen | (extra or {}))


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except OSError:
        return []


PROBES: dict[str, Callable[[Given], Seen]] = {
    "H37": own_network,
    "H38": nothing_but_loopback,
    "H39": no_host_services,
    "H40": no_metadata,
    "H41": no_private_addresses,
    "H42": no_way_by_six,
    "H43": only_allowed_hosts,
    "H44": no_resolver,
    "H45": no_rules_to_lose,
    "H46": registries_are_read,
}
