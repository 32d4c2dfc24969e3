"""
A network in which every address there is belongs to this machine, and what arrives at any of them is counted: bytes that get out of
a sandbox are seen, wherever they were sent.

    python everywhere.py KIND PLACE BASE

Started by root, in a process of its own. Tries all pairs of destination and way from a sandbox, and prints what arrived as JSON.
"""

import asyncio
import json
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

from headrace import linux
from headrace.model.limits import NetworkPhase
from headrace.model.sandbox import Egress

#: Where no build may reach: this machine, private networks, neighbours, metadata of clouds, what is reserved, in both protocols.
DESTINATIONS = (
    "127.0.0.1",
    "127.0.0.53",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104 - a destination, and nothing is bound to it
    "10.0.0.1",
    "10.255.255.254",
    "172.16.0.1",
    "172.17.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "168.63.129.16",
    "240.0.0.1",
    "::1",
    "fd00:ec2::254",
    "fc00::1",
    "64:ff9b::a9fe:a9fe",
    "2002:a00:1::1",
    "2001:db8::1",
)
#: The one host that the operator configured: what is refused is refused for where it leads, not for how it is asked.
ALLOWED, ALLOWED_AT, ALLOWED_PORT = "allowed.test", "10.99.0.1", 8080

#: Runs in the sandbox: every destination by every way. Whatever comes of it is printed; what counts is what arrives.
TRY = """
import ipaddress, json, socket, sys
names, allowed = json.loads(sys.argv[1]), sys.argv[2]
PROXY, DATA = ("127.0.0.1", 3128), b"bytes that must not get out" * 4

def ask(first, host=None):
    with socket.create_connection(PROXY, timeout=10) as proxy:
        proxy.sendall(f"{first} HTTP/1.1\\r\\nHost: {host or 'x'}\\r\\n\\r\\n".encode())
        answer = proxy.recv(4096)
        if answer.startswith(b"HTTP/1.1 200") and first.startswith("CONNECT"):
            proxy.sendall(DATA)
            proxy.recv(1)
        return answer

def send(family, kind, address, protocol=0, flags=0):
    with socket.socket(family, kind, protocol) as s:
        s.settimeout(5)
        if flags or kind != socket.SOCK_STREAM:
            s.sendto(DATA, flags, address)
        else:
            s.connect(address)
            s.sendall(DATA)

def written(host):
    return f"[{host}]" if ":" in host else host

def odd(host):
    number = ipaddress.ip_address(host)
    return f"[{number.exploded}]" if ":" in host else str(int(number))

def redirected(host, name):
    answer = ask(f"GET http://{allowed}/redirect/{host}")
    assert b" 302 " in answer, answer
    return ask("GET " + answer.split(b"Location: ")[1].split(b"\\r\\n")[0].decode())

def mapped(host, name):
    address = ("::ffff:" if ":" not in host else "") + host
    send(socket.AF_INET6, socket.SOCK_STREAM, (address, 80))

FOUR, SIX, TCP, UDP = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM
family = lambda host: SIX if ":" in host else FOUR
WAYS = {
    "a connection": lambda host, name: send(family(host), TCP, (host, 80)),
    "a datagram": lambda host, name: send(family(host), UDP, (host, 53)),
    "a packet": lambda host, name: send(family(host), socket.SOCK_RAW, (host, 0), protocol=1),
    "data with the first packet": lambda host, name: send(family(host), TCP, (host, 80), flags=socket.MSG_FASTOPEN),
    "the other protocol": mapped,
    "a tunnel": lambda host, name: ask(f"CONNECT {written(host)}:80"),
    "a request": lambda host, name: ask(f"GET http://{written(host)}/data"),
    "a name": lambda host, name: ask(f"CONNECT {name}:80"),
    "a name in a request": lambda host, name: ask(f"GET http://{name}/data"),
    "another way to write it": lambda host, name: ask(f"CONNECT {odd(host)}:80"),
    "behind another's name": lambda host, name: ask(f"CONNECT {allowed}@{written(host)}:80"),
    "in the header of a request": lambda host, name: ask(f"GET http://{allowed}/", written(host)),
    "a redirect": redirected,
}
came = {}
for host, name in names.items():
    for way, go in WAYS.items():
        try:
            came[f"{host} by {way}"] = (go(host, name) or b"sent").split(b"\\r\\n")[0].decode()
        except OSError as exc:
            came[f"{host} by {way}"] = type(exc).__name__
print(json.dumps(came))
"""


class Arrived:
    """What came to which address and port."""

    def __init__(self) -> None:
        self.bytes: Counter[str] = Counter()
        self.connections: Counter[str] = Counter()

    def listen(self) -> None:
        for family in (socket.AF_INET, socket.AF_INET6):
            for port in (80, 53, ALLOWED_PORT):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    self._listen(family, kind, port)

    def _listen(self, family: int, kind: int, port: int) -> None:
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            listener.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
        listener.bind(("", port))
        if kind == socket.SOCK_STREAM:
            listener.listen(100)
        take = self._connections if kind == socket.SOCK_STREAM else self._datagrams
        threading.Thread(target=take, args=(listener,), daemon=True).start()

    def _connections(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            where = connection.getsockname()[0]
            self.connections[where] += 1
            threading.Thread(target=self._read, args=(connection, where), daemon=True).start()

    def _read(self, connection: socket.socket, where: str) -> None:
        with connection:
            data = connection.recv(4096)
            self.bytes[where] += len(data)
            to = data.split(b" ")[1] if data.startswith(b"GET ") else b""
            if b"/redirect/" in to:
                host = to.rpartition(b"/")[2]
                location = b"http://%s/data" % (b"[%s]" % host if b":" in host else host)
                connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location)
            elif to:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def _datagrams(self, listener: socket.socket) -> None:
        while True:
            data, ancillary, _, _ = listener.recvmsg(4096, 200)
            for level, _, packet in ancillary:
                where = (
                    socket.inet_ntop(socket.AF_INET6, packet[:16])
                    if level == socket.IPPROTO_IPV6
                    else socket.inet_ntoa(struct.unpack("@I4s4s", packet[:12])[2])
                )
                self.bytes[where] += len(data)


def make_network(place: Path) -> None:
    linux.unshare(linux.CLONE_NEWNET | linux.CLONE_NEWNS)
    linux.mount("none", "/", "none", linux.MS_REC | linux.MS_PRIVATE)
    for change in ("link set lo up", "route add local 0.0.0.0/0 dev lo", "-6 route add local ::/0 dev lo"):
        subprocess.run(["ip", *change.split()], check=True)
    hosts = place / "hosts"
    named = {**{name: host for host, name in names().items()}, ALLOWED: ALLOWED_AT}
    hosts.write_text("".join(f"{address} {name}\n" for name, address in named.items()))
    linux.mount(str(hosts), "/etc/hosts", "none", linux.MS_BIND)


def names() -> dict[str, str]:
    return {host: f"n{number}.test" for number, host in enumerate(DESTINATIONS)}


def shows_everything(arrived: Arrived) -> list[str]:
    """Destinations at which the listeners don't see what is sent from beside the sandbox."""
    for host in DESTINATIONS:
        with socket.create_connection((host, 80), timeout=5) as connection:
            connection.sendall(b"seen")
            connection.recv(1)
    return [host for host in DESTINATIONS if host != "0.0.0.0" and not arrived.bytes[host]]  # noqa: S104 - is 127.0.0.1


async def main(kind: str, place: Path, base: Path) -> None:
    from tests.contract.conftest import Lab  # after the namespaces are made, with all that it starts

    arrived = Arrived()
    arrived.listen()
    unseen = shows_everything(arrived)
    arrived.bytes.clear()
    arrived.connections.clear()
    lab = Lab(kind, place, base)
    sandbox = await lab.open()
    allowed = f"{ALLOWED}:{ALLOWED_PORT}"
    egress = Egress(phase=NetworkPhase.INTERNET, hosts=(allowed,), connections=10_000)
    argv = ("python3", "-c", TRY, json.dumps(names()), allowed)
    result = await sandbox.run(lab.command(argv, egress=egress, limits={"seconds": 300}), lab.log)
    await sandbox.close()
    await lab.clean_up()
    said = {
        "unseen": unseen,
        "exit_code": result.exit_code,
        "errors": lab.text("stderr"),
        "came": json.loads(lab.text() or "{}"),
        "bytes": arrived.bytes,
        "connections": arrived.connections,
        "denied": sum(event["type"] == "egress.denied" for event in lab.events()),
    }
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    make_network(Path(sys.argv[2]))
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
