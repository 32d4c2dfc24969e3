"""The registry of an install's own: what it gives, what it passes on and puts aside, and what it does not do."""

import http.server
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from headrace.egress.front import FrontPlan, RegistryFront, asked_of
from headrace.egress.ledger import Ledger
from headrace.egress.policy import Policy
from headrace.egress.proxy import Caps, Proxy

ARCHIVE = bytes(range(256)) * 2000
PATH = "/a/-/a-1.0.0.tgz"


class Registry(http.server.BaseHTTPRequestHandler):
    """Knows an archive and a document; its server has what it was asked, and on how many connections."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.asked.append((self.command, self.path, str(self.headers).lower()))
        body = {PATH: ARCHIVE, "/@x%2fa": b'{"name": "@x/a"}'}.get(self.path)
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body or b"none")))
        self.send_header("Set-Cookie", "a=b")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write((body or b"none")[: 1000 if server.short else None])
        self.close_connection = server.short or server.hangs_up

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None: ...


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Registry)
        self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.asked: list[tuple[str, str, str]] = []
        self.short = self.hangs_up = False


class Counted:
    up = down = 0

    def count(self, *, up: int = 0, down: int = 0) -> None:
        self.up += up
        self.down += down


class Lab:
    def __init__(self, place: Path, server: Server, certificate: Path) -> None:
        self.given, self.aside = place / "given", place / "aside"
        self.server = server
        self.counted: list[Counted] = []
        self.front = RegistryFront(FrontPlan("localhost", str(self.given), str(self.aside), str(certificate)))

    def connect(self) -> tuple[socket.socket, Counted]:
        self.counted.append(Counted())
        return socket.create_connection(("127.0.0.1", self.server.server_port), timeout=20), self.counted[-1]

    def ask(self, path: str, method: str = "GET", *headers: str) -> tuple[str, bytes]:
        """Head and body of the answer."""
        asked = asked_of(request(path, method, *headers))
        assert asked is not None
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(20)

            def answer() -> None:
                with theirs, suppress(OSError):
                    self.front.answer(theirs, asked, self.connect)

            thread = threading.Thread(target=answer)
            thread.start()
            whole = b""
            while chunk := ours.recv(1 << 16):
                whole += chunk
            thread.join()
        head, _, body = whole.partition(b"\r\n\r\n")
        return head.decode().lower(), body


def request(path: str, method: str = "GET", *headers: str) -> bytes:
    lines = [f"{method} http://packages.headrace.invalid{path} HTTP/1.1", *headers, "", ""]
    return "\r\n".join(lines).encode()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    made = tmp_path_factory.mktemp("certificate")
    argv = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    files = ["-keyout", str(made / "key.pem"), "-out", str(made / "cert.pem")]
    names = ["-subj", "/CN=test registry", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*argv, *names, *files], check=True, capture_output=True)
    return made / "cert.pem", made / "key.pem"


@pytest.fixture
def lab(tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[Lab]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    server = Server(tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made = Lab(tmp_path, server, certificate[0])
    yield made
    made.front.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_package_that_is_there_is_given_and_nobody_is_asked(lab: Lab) -> None:
    (lab.given / "@x/a/-").mkdir(parents=True)
    (lab.given / "@x/a/-/a-1.0.0.tgz").write_bytes(ARCHIVE)
    for path in ("/@x/a/-/a-1.0.0.tgz", "/@x%2fa/-/a-1.0.0.tgz"):
        head, body = lab.ask(path)
        assert head.startswith("http/1.1 200 ")
        assert (f"content-length: {len(ARCHIVE)}" in head, body == ARCHIVE) == (True, True)
    assert lab.ask("/@x/a/-/a-1.0.0.tgz", "HEAD")[1] == b""
    assert (lab.counted, lab.server.asked) == ([], [])


def test_what_is_not_there_comes_from_the_registry_and_is_put_aside(lab: Lab) -> None:
    assert lab.ask(PATH)[1] == ARCHIVE
    assert (lab.aside / PATH.lstrip("/")).read_bytes() == ARCHIVE
    assert lab.counted[0].down == len(ARCHIVE)
    assert lab.counted[0].up > 0
    assert [path.name for path in lab.aside.rglob(".*")] == []


def test_one_connection_serves_many_questions(lab: Lab) -> None:
    head, body = lab.ask("/@x%2fa")
    assert ("200" in head, body) == (True, b'{"name": "@x/a"}')
    assert lab.ask("/none")[0].startswith("http/1.1 404 ")
    assert lab.ask(PATH, "HEAD") == (lab.ask(PATH, "HEAD")[0], b"")
    assert lab.ask(PATH)[1] == ARCHIVE
    assert len(lab.counted) == 1
    assert [path for _, path, _ in lab.server.asked][:2] == ["/@x%2fa", "/none"]


def test_a_registry_that_hung_up_meanwhile_is_called_again(lab: Lab) -> None:
    lab.server.hangs_up = True
    assert [lab.ask("/@x%2fa")[1] for _ in range(3)] == [b'{"name": "@x/a"}'] * 3
    assert len(lab.counted) == 3


def test_an_answer_that_ends_early_is_not_put_aside(lab: Lab) -> None:
    lab.server.short = True
    assert lab.ask(PATH)[1] == ARCHIVE[:1000]
    assert [path for path in lab.aside.rglob("*") if path.is_file()] == []


def test_only_a_few_headers_are_passed_on_in_either_direction(lab: Lab) -> None:
    head, _ = lab.ask("/none", "GET", "Authorization: Bearer secret", "Accept: x/y", "Cookie: c", "Host: elsewhere")
    ((_, _, heard),) = lab.server.asked
    assert "accept: x/y" in heard
    assert "host: localhost" in heard
    assert not any(word in heard for word in ("secret", "cookie", "elsewhere"))
    assert "set-cookie" not in head


def test_a_certificate_of_somebody_else_is_not_believed(lab: Lab, tmp_path: Path) -> None:
    lab.front = RegistryFront(FrontPlan("localhost", str(lab.given), str(lab.aside)))
    assert lab.ask(PATH) == ("", b"")


@pytest.mark.parametrize(
    "path",
    ["/../-/secret.tgz", "/@../a/-/a.tgz", "/a/-/..tgz", "/a/-/../../secret.tgz", "/%2e%2e/-/secret.tgz", "//-/a.tgz"],
)
def test_no_path_leads_out_of_the_directories(lab: Lab, path: str) -> None:
    lab.given.mkdir()
    (lab.given.parent / "-").mkdir()
    (lab.given.parent / "-/secret.tgz").write_text("secret")
    (lab.given.parent / "secret.tgz").write_text("secret")
    head, body = lab.ask(path)
    assert (head.startswith("http/1.1 404 "), body) == (True, b"none")
    assert not lab.aside.exists()


def test_a_full_disk_costs_the_install_nothing(lab: Lab) -> None:
    lab.aside.write_text("a file where a directory should be")
    assert lab.ask(PATH)[1] == ARCHIVE


@pytest.mark.parametrize(
    "asked",
    [
        request("/a", "POST"),
        request("/a", "PUT"),
        request("/a b"),
        b"GET http://packages.headrace.invalid.example.org/ HTTP/1.1\r\n\r\n",
        b"GET http://packages.headrace.invalid@example.org/ HTTP/1.1\r\n\r\n",
        b"GET http://example.org/?http://packages.headrace.invalid/ HTTP/1.1\r\n\r\n",
        b"CONNECT packages.headrace.invalid:443 HTTP/1.1\r\n\r\n",
        b"GET /a HTTP/1.1\r\n\r\n",
    ],
)
def test_other_requests_are_none_of_its_business(asked: bytes) -> None:
    assert asked_of(asked) is None


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[tuple[socket.socket, list[str]]]:
    """A connection to a proxy whose front has one package, and whose policy lets nobody reach its registry; what was told."""
    told: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))
    (tmp_path / "given/a/-").mkdir(parents=True)
    (tmp_path / "given" / PATH.lstrip("/")).write_bytes(b"package")
    proxy = Proxy(
        Policy("registries", ("elsewhere.example",)),
        Caps(bytes=1 << 30, upload_bytes=1 << 30, connections=10),
        Ledger(tmp_path / "network"),
        lambda kind, **fields: told.append(f"{kind} {fields['host']}"),
        lambda _: "",
        front=RegistryFront(FrontPlan("registry.example", str(tmp_path / "given"), str(tmp_path / "aside"))),
    )
    threading.Thread(target=proxy.serve, args=(listener,), daemon=True).start()
    with listener, socket.create_connection(listener.getsockname(), timeout=20) as client:
        yield client, told


def everything(client: socket.socket) -> bytes:
    whole = b""
    while chunk := client.recv(4096):
        whole += chunk
    return whole


def test_a_registry_that_may_not_be_reached_is_refused_by_the_proxy(proxy: tuple[socket.socket, list[str]]) -> None:
    client, told = proxy
    client.sendall(request("/a"))
    assert everything(client).startswith(b"HTTP/1.1 403 ")
    assert told == ["egress.denied registry.example"]


def test_a_registry_that_does_not_answer_is_said_to_be_out_of_reach(tmp_path: Path) -> None:
    told: list[str] = []
    front = RegistryFront(FrontPlan("registry.example", str(tmp_path), str(tmp_path)))

    def gone(*_: object) -> list[str]:
        raise OSError("no such name")

    caps = Caps(bytes=1 << 30, upload_bytes=1 << 30, connections=10)
    proxy = Proxy(
        Policy("registries", ("registry.example",)),
        caps,
        Ledger(tmp_path / "network"),
        lambda kind, **fields: told.append(f"{kind} {fields['host']}"),
        lambda _: "",
        front=front,
        resolve=gone,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=proxy.serve, args=(listener,), daemon=True).start()
        with socket.create_connection(listener.getsockname(), timeout=20) as client:
            client.sendall(request("/a"))
            assert everything(client).startswith(b"HTTP/1.1 502 ")
    assert told == ["egress.unreachable registry.example"]


def test_packages_are_given_through_the_proxy(proxy: tuple[socket.socket, list[str]]) -> None:
    client, told = proxy
    client.sendall(request(PATH))
    assert everything(client).endswith(b"package")
    assert told == []


def test_they_are_also_given_in_a_tunnel(proxy: tuple[socket.socket, list[str]]) -> None:
    client, _ = proxy
    client.sendall(b"CONNECT packages.headrace.invalid:80 HTTP/1.1\r\n\r\n")
    assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
    client.sendall(f"GET {PATH} HTTP/1.1\r\nhost: packages.headrace.invalid\r\n\r\n".encode())
    assert everything(client).endswith(b"package")


@pytest.mark.parametrize("said", [b"POST /a HTTP/1.1\r\n\r\n", b"\x16\x03\x01 hello\r\n\r\n"])
def test_nothing_else_is_said_in_a_tunnel(proxy: tuple[socket.socket, list[str]], said: bytes) -> None:
    client, _ = proxy
    client.sendall(b"CONNECT packages.headrace.invalid:80 HTTP/1.1\r\n\r\n")
    assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
    client.sendall(said)
    assert everything(client).startswith(b"HTTP/1.1 400 ")
