"""The client against real HTTP servers on loopback that say what a test tells them to."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from headrace import errors
from headrace.cli.client import Client, error_of
from headrace.errors import HeadraceError

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def server(*answers: Answer) -> Iterator[str]:
    """A server that answers each request with the next of `answers`, and the last one for ever."""
    waiting = list(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            (waiting.pop(0) if len(waiting) > 1 else waiting[0])(self)
            self.close_connection = True

        do_GET = do_POST = do_PATCH = do_DELETE = _answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def send(status: int, body: object) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        text = json.dumps(body).encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    return answer


def stream(*pieces: bytes, ends: bool = True) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for piece in pieces:
            request.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if ends:
            request.wfile.write(b"0\r\n\r\n")

    return answer


def event(seq: int, type_: str = "build.log") -> bytes:
    return json.dumps({"seq": seq, "type": type_}).encode() + b"\n"


def seqs(lines: Iterator[bytes]) -> list[int]:
    return [json.loads(line)["seq"] for line in lines]


def test_a_request_carries_the_token_and_its_query() -> None:
    seen: list[tuple[str, str | None]] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        seen.append((request.path, request.headers["Authorization"]))
        send(200, {"items": []})(request)

    with server(answer) as url:
        Client(url, "secret").get("/builds", status="failed", cursor=None, follow=True)
    assert seen == [("/api/v1/builds?status=failed&follow=true", "Bearer secret")]


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (404, {"code": "not_found", "detail": "gone"}, errors.NotFound, "not_found"),
        (401, {"code": "auth.required"}, errors.NotAuthenticated, "auth.required"),
        (422, {"code": "archive.path_escape", "detail": "no"}, errors.InvalidInput, "archive.path_escape"),
        (403, {"code": "safe_mode", "detail": "no"}, errors.SafeMode, "safe_mode"),
        (507, {"code": "storage.full", "detail": "no"}, errors.StoreFull, "storage.full"),
        (500, {}, HeadraceError, "internal"),
    ],
)
def test_a_problem_becomes_the_error_that_the_server_raised(
    status: int, body: object, kind: type[HeadraceError], code: str
) -> None:
    with server(send(status, body)) as url, pytest.raises(kind) as caught:
        Client(url, None).get("/projects")
    assert type(caught.value) is kind
    assert caught.value.exact_code == code


def test_an_answer_that_is_no_problem_document_is_still_an_error() -> None:
    assert error_of(502, b"<html>bad gateway").message == "the server answered 502"


def test_nobody_who_listens_is_server_unreachable() -> None:
    with server(send(200, {})) as url:
        pass
    with pytest.raises(errors.ServerUnreachable) as caught:
        Client(url, None).get("/projects")
    assert caught.value.exit_status == 6


def test_pages_are_read_until_there_are_enough() -> None:
    pages = [send(200, {"items": [1, 2], "next_cursor": "a"}), send(200, {"items": [3, 4], "next_cursor": "b"})]
    with server(*pages) as url:
        assert Client(url, None).pages("/builds", most=4) == [1, 2, 3, 4]


def test_events_split_anywhere_arrive_whole() -> None:
    whole = event(1) + event(2) + event(3, "build.completed")
    pieces = [whole[:7], whole[7:40], whole[40:]]
    with server(stream(*pieces)) as url:
        assert seqs(Client(url, None).events("build_x")) == [1, 2, 3]


def test_a_broken_stream_is_taken_up_behind_its_last_event() -> None:
    asked: list[str] = []

    def second(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        stream(event(3), event(4, "build.completed"))(request)

    with server(stream(event(1), event(2), b'{"seq":3,"ty', ends=False), second) as url:
        assert seqs(Client(url, None).events("build_x")) == [1, 2, 3, 4]
    assert asked == ["/api/v1/builds/build_x/events?after=2&follow=true"]


def test_a_stream_that_is_not_followed_ends_where_the_log_ends() -> None:
    with server(stream(event(1))) as url:
        assert seqs(Client(url, None).events("build_x", follow=False)) == [1]


def test_an_upload_is_sent_in_pieces() -> None:
    received: list[str | None] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        received.append(request.headers["Transfer-Encoding"])
        while size := int(request.rfile.readline(), 16):
            request.rfile.read(size + 2)
        request.rfile.readline()
        send(201, {"id": "ver_x"})(request)

    with server(answer) as url:
        assert Client(url, None).upload("/projects/p/versions", iter([b"x" * 100_000, b"y"])) == {"id": "ver_x"}
    assert received == ["chunked"]


def test_a_site_is_asked_by_the_servers_address_and_its_own_name() -> None:
    hosts: list[str | None] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        hosts.append(request.headers["Host"])
        send(200, {})(request)

    with server(answer) as url:
        assert Client(url, None).site_answers("http://my-site.example:7700/")
    assert hosts == ["my-site.example:7700"]
