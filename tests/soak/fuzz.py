"""
Requests to a server process that no client would send: `scripts/soak fuzz --requests 100000`.

Most are made from the OpenAPI document, valid and invalid, and each answer must be one that the document names. The others
are odd addresses, hosts and bytes. There must be no HTTP 500, nothing may take longer than five seconds, and the server's
log may know of no fault of its own. The short form is `tests/hostile/test_fuzz.py`.
"""

import argparse
import json
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.server import Server, environment_of

from headrace.api.app import openapi_document
from headrace.api.uploads import MEDIA_TYPES

#: No request may take as long.
HANG_SECONDS = 5.0
_CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@schemathesis.serializer(*MEDIA_TYPES)
def _archive(_context: object, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@contextmanager
def served() -> Iterator[Server]:
    """A server process of its own, whose executor starts nothing."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        data = Path(place, "data")
        data.mkdir(mode=0o700)
        server = Server(environment_of(data, executor="fake", upload_bytes=200_000, clone_seconds=2), data)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@dataclass(frozen=True)
class Things:
    """What is on the server from the start."""

    project: str
    version: str
    build: str
    #: Projects that requests may delete.
    spare: tuple[str, ...]

    @property
    def ids(self) -> dict[str, str]:
        """What stands in paths."""
        return {
            "workspace": "default",
            "project_id": self.project,
            "version_id": self.version,
            "build_id": self.build,
        }


def fill(server: Server, spare: int = 20) -> Things:
    project = server.project("Shop")["id"]
    version = server.upload(project, {"index.html": "<h1>hello</h1>", "headrace.toml": '[build]\noutput = "."\n'})["id"]
    build = server.build(project)["id"]
    server.until_ended(build)
    return Things(project, version, build, tuple(server.project(f"spare {n}")["id"] for n in range(spare)))


def document(things: Things) -> dict[str, Any]:
    """The OpenAPI document with ids that exist and ids that don't in the place of every id, and without waits."""
    made = deepcopy(openapi_document())
    ids = {name: value for name, value in things.ids.items() if name != "workspace"}
    # A fuzzer that knows of the token leaves it out, and then hears of nothing else.
    del made["components"]["securitySchemes"]
    for operation in (operation for path in made["paths"].values() for operation in path.values()):
        operation.pop("security", None)
        for parameter in operation.get("parameters", []):
            name, known = parameter["name"], ids.get(parameter["name"])
            if known and operation["operationId"] == "delete_project":
                parameter["schema"] = {"type": "string", "enum": [*things.spare, "prj_x"]}
            elif known:
                parameter["schema"] = {"type": "string", "enum": [known, "prj_x", "..", "\u00fc\n"]}
            elif name in ("follow", "wait"):
                parameter["schema"] = {"type": "boolean", "enum": [False]}
            elif name == "timeout":
                parameter["schema"] = {"type": "number", "minimum": 0, "maximum": 1}
    for schema in made["components"]["schemas"].values():
        # Whoever asks to wait waits: that is no hang.
        for name in ("wait", "stream"):
            if schema.get("properties", {}).get(name, {}).get("type") == "boolean":
                schema["properties"][name] = {"type": "boolean", "enum": [False]}
    return made


_WORDS = st.sampled_from(
    [
        "..",
        "%2e%2e",
        "%2f",
        "%00",
        "\u00fc",
        "%",
        "%zz",
        "//",
        ";",
        "api",
        "v1",
        "projects",
        "preview",
        "view",
        "builds",
        "x" * 300,
    ]
)
_HOSTS = st.sampled_from(
    ["", "localhost", "evil.example", "shop.localhost", "shop.preview.localhost", "127.0.0.1", "[::1", "a b"]
)
_HEADERS = st.dictionaries(
    st.sampled_from(
        ["Range", "If-None-Match", "Last-Event-ID", "Accept", "Cookie", "X-Forwarded-Host", "Prefer", "Content-Type"]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.strip),
    max_size=3,
)


@dataclass(frozen=True)
class Odd:
    """A request that is in no document."""

    method: str
    path: str
    host: str
    headers: dict[str, str]
    #: Instead of all that: bytes.
    raw: bytes | None = None


def _odd(things: Things) -> st.SearchStrategy[Odd]:
    starts = (
        "/",
        f"/preview/{things.project}/",
        f"/view/{things.project}",
        f"/api/v1/projects/{things.project}/",
        "/healthz",
    )
    shaped = st.builds(
        Odd,
        method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "X"]),
        path=st.tuples(st.sampled_from(starts), st.lists(_WORDS, max_size=4).map("/".join)).map("".join),
        host=_HOSTS,
        headers=_HEADERS,
    )
    request = b"POST /api/v1/builds HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    damaged = st.tuples(st.integers(0, len(request)), st.binary(max_size=12)).map(
        lambda cut: request[: cut[0]] + cut[1] + request[cut[0] :]
    )
    raw = st.one_of(st.binary(min_size=1, max_size=200), damaged).map(lambda sent: Odd("", "", "", {}, sent))
    return st.one_of(shaped, shaped, raw)


@dataclass
class Fuzzer:
    server: Server
    things: Things
    statuses: Counter[int] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def __post_init__(self) -> None:
        self.schema = schemathesis.openapi.from_dict(document(self.things))
        token = (self.server.data_dir / "token").read_text()
        self.headers = {"Authorization": f"Bearer {token}"}
        self._session = requests.Session()

    def strategies(self) -> Iterator[st.SearchStrategy[Any]]:
        """One of each operation, and one of what is in no document."""
        for result in self.schema.get_all_operations():
            assert isinstance(result, Ok)
            operation = result.ok()
            names = {name for name in self.things.ids if f"{{{name}}}" in operation.path}
            known = {name: self.things.ids[name] for name in names}
            if operation.definition.raw["operationId"] == "delete_project":
                known = {}
            # Mostly things that exist, or most answers would be 404.
            cases = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]
            cases += [operation.as_strategy(generation_mode=mode, path_parameters=known) for mode in GenerationMode] * 2
            yield st.one_of(cases)
        yield _odd(self.things)

    def send(self, case: Any) -> None:
        began = time.monotonic()
        if isinstance(case, Odd):
            status = self._send_odd(case)
            assert status not in (500, 501), case
        else:
            assume(not _is_endless(case))
            answer = case.call(self.server.url, session=self._session, headers=self.headers, timeout=HANG_SECONDS)
            status = answer.status_code
            self.operations[case.operation.label] += 1
            case.validate_response(answer, checks=_CHECKS)
        self.statuses[status] += 1
        self.slowest = max(self.slowest, time.monotonic() - began)

    def _send_odd(self, case: Odd) -> int:
        head = [
            f"{case.method} {case.path} HTTP/1.1",
            f"Host: {case.host}",
            "Connection: close",
            *(f"{n}: {v}" for n, v in case.headers.items()),
        ]
        if case.path.startswith("/api/"):
            head.append(f"Authorization: {self.headers['Authorization']}")
        raw = case.raw if case.raw is not None else ("\r\n".join(head) + "\r\n\r\n").encode()
        address = httpx2.URL(self.server.url)
        with socket.create_connection((address.host, address.port or 80), timeout=HANG_SECONDS) as connection:
            connection.sendall(raw)
            if case.raw is not None:  # which may be half a request; the server takes this end for the client's leaving
                connection.shutdown(socket.SHUT_WR)
            start = connection.recv(4096)
            # A head is enough: a stream that a request asked for has no end.
        return int(start.split(b" ", 2)[1]) if start.startswith(b"HTTP/1.") else 0

    def check_server(self) -> None:
        """The server is the one that was started, is well, and has noted no fault of its own."""
        assert self.server.running
        assert self.server.http.get("/builds").status_code == 200
        kept = self.server.http.get(f"/projects/{self.things.project}/files").json()["files"]
        log = self.server.log.read_text(errors="replace")
        assert kept, "what was stored before is gone"
        faults = [line for line in log.splitlines() if "Traceback" in line or _level(line) in ("error", "critical")]
        assert not faults, faults[:3]


def _is_endless(case: Any) -> bool:
    """The log of a preview has no end, so a stream that follows it waits for ever: that is no hang."""
    asked = (case.query or {}).get("follow", False)
    return case.operation.definition.raw["operationId"] == "preview_events" and asked not in (False, "false")


def _level(line: str) -> str:
    try:
        return str(json.loads(line).get("level"))
    except (ValueError, AttributeError):
        return ""


def fuzz(server: Server, count: int, **more: Any) -> Fuzzer:
    """Send so many requests. Raises AssertionError or a check's own error with the smallest request that shows it."""
    fuzzer = Fuzzer(server, fill(server))
    strategies = list(fuzzer.strategies())
    bounded = settings(
        max_examples=max(1, count // len(strategies)),
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        **more,
    )
    for strategy in strategies:
        bounded(given(strategy)(fuzzer.send))()
    fuzzer.check_server()
    return fuzzer


def follow_links(fuzzer: Fuzzer, runs: int, **more: Any) -> None:
    """Go from answer to request along the document's links: make a project, change it, build it, cancel, delete it."""
    machine: Any = fuzzer.schema.as_state_machine()

    class Following(machine):  # type: ignore[misc]
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"base_url": fuzzer.server.url, "headers": fuzzer.headers, "timeout": HANG_SECONDS}

        def call(self, case: Any, **given: Any) -> Any:
            assume(not _is_endless(case))
            return super().call(case, **given)

        def validate_response(self, response: Any, case: Any, *_: Any, **__: Any) -> None:
            fuzzer.statuses[response.status_code] += 1
            fuzzer.operations[case.operation.label] += 1
            case.validate_response(response, checks=_CHECKS)

    bounded = settings(
        max_examples=runs,
        stateful_step_count=8,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        **more,
    )
    Following.run(settings=bounded)
    fuzzer.check_server()


def main() -> None:
    parser = argparse.ArgumentParser(description="Requests that no client would send, to a server process.")
    parser.add_argument("--requests", type=int, default=100_000)
    wanted = parser.parse_args().requests
    began, statuses, operations, slowest = time.monotonic(), Counter[int](), Counter[str](), 0.0
    # In pieces: hypothesis remembers all that it has tried, to try nothing twice.
    while statuses.total() < wanted:
        with served() as server:
            fuzzer = fuzz(server, min(5000, wanted - statuses.total()))
            follow_links(fuzzer, 50)
        statuses += fuzzer.statuses
        operations += fuzzer.operations
        slowest = max(slowest, fuzzer.slowest)
        print(f"{statuses.total():>7} requests after {time.monotonic() - began:.0f} s", flush=True)
    print(f"0 HTTP 500, 0 longer than {HANG_SECONDS:g} s; the slowest took {slowest:.2f} s")
    print("statuses: " + ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items())))
    print(f"operations: {len(operations)}, the least used {min(operations.values())} times")


if __name__ == "__main__":
    main()
