"""Bytes on the connection of a real server: rows B3, B5, B22, B25, B28, B29 and B70 of the register."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.server import Server, tar_of
from tests.soak.fuzz import served
from tests.waiting import wait_until

GIB = 1 << 30
CREATE = "POST /api/v1/workspaces/default/projects HTTP/1.1"
#: The server may grow by so much while somebody sends what it refuses.
GROWTH_BYTES = 5 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as server:
        yield server


class Connection:
    """One connection, byte by byte."""

    def __init__(self, server: Server) -> None:
        self.token = (server.data_dir / "token").read_text()
        host, port = server.url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def head(
        self,
        line: str = CREATE,
        *headers: str,
        kind: str = "application/json",
    ) -> None:
        fixed = [
            line,
            "Host: localhost",
            f"Authorization: Bearer {self.token}",
            f"Content-Type: {kind}",
            *headers,
        ]
        self.send("\r\n".join([*fixed, "", ""]).encode("latin-1"))

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def flood(self, piece: bytes, most: int) -> int:
        """Send until somebody answers or hangs up; how many bytes went."""
        sent = 0
        while sent < most and not select.select([self.socket], [], [], 0)[0]:
            with suppress(TimeoutError):
                sent += self.socket.send(piece)
        return sent

    def answer(self) -> tuple[int, Any]:
        """Status and body of the answer, after which the connection has to be closed: 0 for none."""
        received = b""
        with suppress(ConnectionError):
            while piece := self.socket.recv(1 << 16):
                received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1]) if head.startswith(b"HTTP/1.1 ") else 0
        return status, json.loads(body) if b"problem+json" in head else body


def resident(server: Server) -> int:
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS:"))) * 1024


def projects(server: Server) -> list[Any]:
    listed: list[Any] = server.http.get("/workspaces/default/projects").json()["items"]
    return listed


def test_a_body_of_a_gigabyte_is_refused_by_its_announcement(server: Server) -> None:
    projects(server)
    before = resident(server)
    with Connection(server) as connection:
        connection.head(CREATE, f"Content-Length: {GIB}")
        sent = connection.flood(b" " * 65_536, 64 << 20)
        status, problem = connection.answer()
    assert sent < 64 << 20
    assert (status, problem["code"]) == (413, "body.too_large")
    assert resident(server) - before < GROWTH_BYTES
    assert projects(server) == []


def test_who_asks_before_sending_is_refused_before_sending(server: Server) -> None:
    with Connection(server) as connection:
        connection.head(CREATE, f"Content-Length: {GIB}", "Expect: 100-continue")
        # Not "100 Continue" first.
        status, problem = connection.answer()
    assert (status, problem["code"]) == (413, "body.too_large")


def test_a_body_without_end_is_cut_off_and_so_is_its_connection(server: Server) -> None:
    before = resident(server)
    with Connection(server) as connection:
        connection.head(CREATE, "Transfer-Encoding: chunked")
        sent = connection.flood(b"10000\r\n" + b" " * 65_536 + b"\r\n", 64 << 20)
        status, problem = connection.answer()
    assert sent < 64 << 20
    assert (status, problem["code"]) == (413, "body.too_large")
    assert resident(server) - before < GROWTH_BYTES
    assert projects(server) == []


def test_an_upload_without_end_is_cut_off_at_its_limit(server: Server) -> None:
    project = server.project("big")["id"]
    before = resident(server)
    with Connection(server) as connection:
        connection.head(
            f"POST /api/v1/projects/{project}/versions HTTP/1.1", "Transfer-Encoding: chunked", kind="application/x-tar"
        )
        sent = connection.flood(b"10000\r\n" + b" " * 65_536 + b"\r\n", 64 << 20)
        status, problem = connection.answer()
    assert sent < 64 << 20
    assert (status, problem["code"]) == (413, "archive.too_large")
    assert resident(server) - before < GROWTH_BYTES
    assert server.http.get(f"/projects/{project}/versions").json()["items"] == []
    server.http.delete(f"/projects/{project}")


def test_a_length_that_is_less_than_was_sent_makes_no_second_request_of_the_rest(server: Server) -> None:
    with Connection(server) as connection:
        hidden = (
            f"DELETE /api/v1/cache/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {connection.token}\r\n\r\n"
        )
        connection.head(CREATE, "Content-Length: 2", "Connection: close")
        connection.send(b"{}" + hidden.encode())
        status, _ = connection.answer()
    assert status == 422
    assert projects(server) == []


def test_a_length_that_is_more_than_was_sent_makes_nothing(server: Server) -> None:
    with Connection(server) as connection:
        connection.head(CREATE, "Content-Length: 100")
        connection.send(b'{"name":"half"}')
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.answer()[0] in (0, 400)
    assert projects(server) == []


def test_an_upload_that_breaks_off_leaves_nothing_and_can_be_sent_again(server: Server) -> None:
    project = server.project("half")["id"]
    archive = tar_of({"index.html": "x" * 50_000})
    for _ in range(3):
        with Connection(server) as connection:
            line = f"POST /api/v1/projects/{project}/versions HTTP/1.1"
            connection.head(line, f"Content-Length: {len(archive)}", "Idempotency-Key: once", kind="application/x-tar")
            connection.send(archive[: len(archive) // 2])
    wait_until(lambda: not list((server.data_dir / "uploads").glob("*")), seconds=20)
    assert server.http.get(f"/projects/{project}/versions").json()["items"] == []
    version = server.upload(project, {"index.html": "x" * 50_000})
    assert version["files"] == 1
    server.http.delete(f"/projects/{project}")


@pytest.mark.parametrize(
    ("line", "headers", "statuses"),
    [
        ("GET /api/v1/builds HTTP/1.1", ["Host: other"], {400}),
        ("GET http://evil.example/api/v1/builds HTTP/1.1", [], {400, 421}),
        ("GET /api/v1/builds HTTP/1.1", ["X: a\r\n b"], {200, 400}),
        ("GET /api/v1/builds HTTP/1.1", ["X: a\rb"], {400}),
        ("GET /api/v1/builds HTTP/1.1", ["X: a\0b"], {400}),
        ("GET /api/v1/builds HTTP/1.1", ["X y: a"], {400}),
        ("GET /api/v1/builds HTTP/1.1", ["X: " + "x" * 65_536], {200, 400, 431}),
        ("POST /api/v1/cache/prune HTTP/1.1", ["Transfer-Encoding: chunked", "Content-Length: 3"], {400}),
        ("POST /api/v1/cache/prune HTTP/1.1", ["Transfer-Encoding: chunked, identity"], {400}),
        ("POST /api/v1/cache/prune HTTP/1.1", ["Transfer-Encoding: xchunked"], {400}),
        ("POST /api/v1/cache/prune HTTP/1.1", ["Content-Length: 3", "Content-Length: 4"], {400}),
        ("POST /api/v1/cache/prune HTTP/1.1", ["Content-Length: -1"], {400}),
        ("POST /api/v1/cache/prune HTTP/1.1", ["Content-Length: " + "9" * 5000], {400}),
        ("GET /api/v1/builds?a%00b HTTP/1.1", [], {422}),
        ("GET /api/v1/builds/%00 HTTP/1.1", [], {422}),
        ("GET /api/v1/builds HTTP/9.9", [], {400, 505}),
        ("TRACE /api/v1/builds HTTP/1.1", [], {405}),
        ("CONNECT evil.example:443 HTTP/1.1", [], {400, 404, 405, 421}),
    ],
)
def test_a_request_with_two_meanings_is_refused(
    server: Server, line: str, headers: list[str], statuses: set[int]
) -> None:
    with Connection(server) as connection:
        connection.head(line, *headers, "Connection: close")
        assert connection.answer()[0] in statuses
    assert server.http.get("/builds").status_code == 200


def test_a_token_of_a_megabyte_costs_nothing(server: Server) -> None:
    before = resident(server)
    ticks = _processor_ticks(server.pid)
    with Connection(server) as connection:
        with suppress(ConnectionError):
            connection.send(
                b"GET /api/v1/builds HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer "
            )
            connection.send(b"x" * (1 << 20) + b"\r\n\r\n")
        assert connection.answer()[0] in (0, 400, 401, 431)
    assert _processor_ticks(server.pid) - ticks < os.sysconf("SC_CLK_TCK")
    assert resident(server) - before < GROWTH_BYTES


def _processor_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_forwarded_headers_of_whoever_connects_change_nothing(server: Server) -> None:
    forwarded = {
        "X-Forwarded-For": "198.51.100.7",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "host=evil.example",
    }
    made = server.http.post(
        "/workspaces/default/projects", json={"name": "fwd"}, headers={**forwarded, "X-Request-Id": "fwd-1"}
    )
    assert "evil.example" not in made.text + str(made.headers)
    server.http.delete(f"/projects/{made.json()['id']}")
    wait_until(lambda: "fwd-1" in server.log.read_text(), seconds=10)
    line = next(line for line in server.log.read_text().splitlines() if "fwd-1" in line)
    assert json.loads(line)["client"] == "127.0.0.1"


@pytest.mark.parametrize("token", ["short", "", "x" * 31])
def test_a_server_with_a_token_that_can_be_guessed_does_not_start(tmp_path: Path, token: str) -> None:
    environment = {
        **os.environ,
        "HEADRACE_DATA_DIR": str(tmp_path / "data"),
        "HEADRACE_PORT": "0",
        "HEADRACE_TOKEN": token,
    }
    command = [sys.executable, "-m", "headrace", "serve"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 78
    assert "HEADRACE_TOKEN" in done.stderr
    assert token not in done.stderr or not token
    assert not (tmp_path / "data").exists()


def test_a_slow_sender_holds_up_nobody(server: Server) -> None:
    with Connection(server) as slow:
        slow.head(CREATE, "Content-Length: 1000")
        for _ in range(5):
            slow.send(b" ")
            time.sleep(0.05)
            assert server.http.get("/builds").status_code == 200
