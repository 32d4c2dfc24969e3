"""The proxy by its two ends: what it lets through, what it says, what it counts."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.egress.test_client_hello import hello

from headrace.egress import lookup
from headrace.egress.ledger import Ledger, Use, read_ledger
from headrace.egress.policy import Policy
from headrace.egress.proxy import Caps, Proxy, _parse_request

PLENTY = Caps(bytes=1 << 40, upload_bytes=1 << 40, connections=1000)


@dataclass
class Lab:
    """A proxy that resolves every name to this machine."""

    ledger_path: Path
    told: list[dict[str, object]] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    #: A name server that is silent until this is set.
    answers: threading.Event = field(default_factory=threading.Event)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    def start(self, policy: Policy, caps: Caps = PLENTY, *, idle_seconds: float = 20) -> None:
        def tell(kind: str, **fields: object) -> None:
            self.told.append({"type": kind, **fields})

        def resolve(host: str, port: int) -> Sequence[str]:
            self.resolved.append(host)
            if host.startswith("silent."):
                self.answers.wait(20)
            return ["127.0.0.1"]

        proxy = Proxy(
            policy,
            caps,
            Ledger(self.ledger_path),
            tell,
            lambda _: "grabber@1.0.0",
            resolve=resolve,
            idle_seconds=idle_seconds,
        )
        threading.Thread(target=proxy.serve, args=(self.listener,), daemon=True).start()

    def ask(self, request: str, then: bytes = b"") -> bytes:
        """Everything that comes back for a request, and for what is sent in its tunnel."""
        with self.connected() as client:
            client.sendall(request.replace("|", "\r\n").encode() + b"\r\n\r\n")
            if then:
                assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
                with suppress(OSError):  # cut in the middle
                    client.sendall(then)
                    client.shutdown(socket.SHUT_WR)
            return _all(client)

    def connected(self) -> socket.socket:
        return socket.create_connection(self.listener.getsockname(), timeout=20)

    def uses(self) -> list[Use]:
        return read_ledger(self.ledger_path)


def _all(client: socket.socket) -> bytes:
    answer = b""
    try:
        while chunk := client.recv(65536):
            answer += chunk
    except ConnectionError:
        pass
    return answer


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "network")
    yield lab
    lab.listener.close()


@pytest.fixture
def web() -> Iterator[int]:
    """A server that answers with the host that it was asked for, and takes what it is sent; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"{self.headers['Host']}{self.path}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving.server_port
        serving.shutdown()


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that says back what it hears; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=say_back, args=(connection,), daemon=True).start()

    def say_back(connection: socket.socket) -> None:
        with connection, suppress(ConnectionError):
            while heard := connection.recv(65536):
                connection.sendall(heard)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def only(*hosts: str) -> Policy:
    return Policy("registries", hosts)


def test_a_denied_name_is_never_looked_up(lab: Lab) -> None:
    lab.start(only("registry.example"))
    assert b" 403 " in lab.ask("CONNECT secret-in-a-name.evil.example:443 HTTP/1.1")
    assert lab.resolved == []
    (fact,) = lab.told
    assert (fact["type"], fact["host"], fact["package"]) == (
        "egress.denied",
        "secret-in-a-name.evil.example",
        "grabber@1.0.0",
    )
    assert [(use.host, use.refused, use.connections) for use in lab.uses()] == [("secret-in-a-name.evil.example", 1, 0)]


def test_a_silent_name_server_is_not_waited_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "LOOKUP_SECONDS", 0.2)
    lab.start(only("silent.example"))
    began = time.monotonic()
    answer = lab.ask("CONNECT silent.example:443 HTTP/1.1")
    lab.answers.set()
    assert b" 502 " in answer
    assert b"no name server answers" in answer
    assert [(fact["type"], fact["why"]) for fact in lab.told] == [("egress.unreachable", "no name server answers")]
    assert time.monotonic() - began < 5


def test_new_names_are_looked_up_at_a_bounded_pace(lab: Lab) -> None:
    lab.start(Policy("internet", ()))
    for number in range(150):
        lab.ask(f"CONNECT data-{number}.evil.example:443 HTTP/1.1")
    assert len(lab.resolved) == 120
    assert "different hosts in a minute" in str(lab.told[-1]["why"])


def test_the_server_hears_the_host_that_was_checked(lab: Lab, web: int) -> None:
    lab.start(only(f"registry.example:{web}"))
    answer = lab.ask(f"GET http://registry.example:{web}/x HTTP/1.1|Host: other.example|host: third.example")
    assert answer.endswith(f"registry.example:{web}/x".encode())


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_a_registry_is_only_read_where_that_can_be_seen(lab: Lab, web: int, method: str) -> None:
    lab.start(only(f"registry.example:{web}"))
    assert b" 403 " in lab.ask(f"{method} http://registry.example:{web}/package HTTP/1.1|Content-Length: 0")
    assert method in str(lab.told[0]["why"])


def test_a_tunnel_for_another_host_than_it_was_let_through_for_is_cut(lab: Lab, echo: int) -> None:
    lab.start(only(f"registry.example:{echo}"))
    connect = f"CONNECT registry.example:{echo} HTTP/1.1"
    right, wrong = hello("registry.example"), hello("evil.example")
    assert lab.ask(connect, right) == right
    assert lab.ask(connect, wrong) == b""
    assert lab.ask(connect, hello(None)) == b""
    assert [str(fact["why"]) for fact in lab.told] == [
        "its TLS handshake asks for evil.example",
        "its TLS handshake asks for no host",
    ]


def test_a_handshake_in_pieces_is_one(lab: Lab, echo: int) -> None:
    lab.start(only(f"registry.example:{echo}"))
    said = hello("registry.example")
    with lab.connected() as client:
        client.sendall(f"CONNECT registry.example:{echo} HTTP/1.1\r\n\r\n".encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        for start in range(0, len(said), 50):
            client.sendall(said[start : start + 50])
            time.sleep(0.001)
        client.shutdown(socket.SHUT_WR)
        assert _all(client) == said


def test_the_ledger_has_hosts_and_bytes(lab: Lab, echo: int) -> None:
    lab.start(only(f"registry.example:{echo}"))
    said = hello("registry.example")
    for _ in range(3):
        lab.ask(f"CONNECT registry.example:{echo} HTTP/1.1", said)
    (use,) = lab.uses()
    assert (use.host, use.port, use.connections, use.package) == ("registry.example", echo, 3, "grabber@1.0.0")
    assert use.bytes_up == use.bytes_down == 3 * len(said)


@pytest.mark.parametrize(
    ("caps", "limit"),
    [
        (PLENTY._replace(bytes=100_000), "bytes"),
        (PLENTY._replace(upload_bytes=100_000), "upload_bytes"),
    ],
)
def test_at_a_cap_every_connection_ends_and_there_are_no_more(lab: Lab, echo: int, caps: Caps, limit: str) -> None:
    lab.start(only(f"registry.example:{echo}"), caps)
    assert len(lab.ask(f"CONNECT registry.example:{echo} HTTP/1.1", b"x" * 1_000_000)) < 1_000_000
    assert lab.ask(f"CONNECT registry.example:{echo} HTTP/1.1") == b""
    (fact,) = lab.told
    assert (fact["type"], fact["limit"], fact["most"], fact["host"]) == (
        "egress.limit",
        limit,
        100_000,
        "registry.example",
    )


def test_connections_are_counted_also_those_that_are_refused(lab: Lab) -> None:
    lab.start(only("registry.example"), PLENTY._replace(connections=5))
    for _ in range(8):
        lab.ask("CONNECT evil.example:443 HTTP/1.1")
    kinds = [fact["type"] for fact in lab.told]
    assert kinds == ["egress.denied"] * 5 + ["egress.limit"]


def test_a_tunnel_in_which_nothing_moves_is_closed(lab: Lab, echo: int) -> None:
    lab.start(only(f"registry.example:{echo}"), idle_seconds=0.1)
    with lab.connected() as client:
        client.sendall(f"CONNECT registry.example:{echo} HTTP/1.1\r\n\r\n".encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        client.sendall(b"hello")
        assert _all(client) == b"hello"


def test_a_name_at_a_private_address_is_refused_unless_it_is_configured(lab: Lab) -> None:
    lab.start(Policy("internet", ()))
    assert b" 403 " in lab.ask("CONNECT looks-public.example:443 HTTP/1.1")
    assert lab.told[0]["why"] == "its address is not on the public internet"
    assert lab.resolved == ["looks-public.example"]


def test_an_address_is_no_name(lab: Lab) -> None:
    lab.start(Policy("internet", ()))
    for host in ("1.1.1.1", "[2606:4700::1111]"):
        assert b" 403 " in lab.ask(f"CONNECT {host}:443 HTTP/1.1")
    assert {fact["why"] for fact in lab.told} == {"hosts are reached by their names"}


@given(st.binary(max_size=300))
def test_any_head_is_a_request_or_refused(data: bytes) -> None:
    refused_or_read(data)
    refused_or_read(b"CONNECT " + data + b" HTTP/1.1\r\n\r\n")
    refused_or_read(b"GET http://" + data + b" HTTP/1.1\r\n\r\n")


def refused_or_read(data: bytes) -> None:
    try:
        where, _, onward = _parse_request(data)
    except ValueError:
        return
    assert where.host
    assert where.host.isascii()
    assert 0 < where.port < 65536
    if onward is not None:
        head = onward.partition(b"\r\n\r\n")[0].split(b"\r\n")
        hosts = [line for line in head[1:] if line.partition(b":")[0].strip().lower() == b"host"]
        assert len(hosts) == 1
        assert where.host.encode() in hosts[0].lower()
