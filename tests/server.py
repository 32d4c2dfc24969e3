"""A `headrace serve` of our own over a data directory, started, killed, frozen, started again; and what its clients do."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
from tests.waiting import wait_until
from tests.warm import Forked, Started

ENDED = ("succeeded", "failed", "cancelled")


def new_data_dir(place: Path, provisions: Path, *more: str) -> Path:
    """
    An empty data directory that needs not fetch what every build needs: base system and tool chains are among `provisions`. So
    may be `more`, such as "layers".
    """
    place.mkdir(mode=0o700, exist_ok=True)
    for shared in ("base", "tools", *more):
        (provisions / shared).mkdir(parents=True, exist_ok=True)
        (place / shared).symlink_to(provisions / shared)
    return place


def environment_of(data_dir: Path, **settings: object) -> dict[str, str]:
    """Of a server, or of a command line, over this directory. `settings` are variables without their prefix."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    own = {"HEADRACE_DATA_DIR": str(data_dir), "HEADRACE_PORT": "0", "NO_COLOR": "1"}
    return kept | own | {f"HEADRACE_{name.upper()}": str(value) for name, value in settings.items()}


class Server:
    """
    `cold` is an interpreter of its own, as users have it, and what is given as `wrap` a command that starts it; otherwise it is
    forked from one that has imported everything.
    """

    def __init__(
        self, environment: Mapping[str, str], data_dir: Path, *, wrap: Sequence[str] = (), cold: bool = False
    ) -> None:
        self.environment = dict(environment)
        self.data_dir = data_dir
        self.wrap = tuple(wrap)
        self.cold = cold or bool(wrap)
        # Beside the directory: it may be on a disk that is full.
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self.url = ""
        self._process: Started | None = None
        self._pid = 0
        self.http = httpx2.Client()

    @property
    def pid(self) -> int:
        """Of the server itself, also when it was started through another program."""
        return self._pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, seconds: float = 60) -> None:
        announced = self.data_dir / "server.json"
        before = announced.read_bytes() if announced.exists() else b""
        self._process = self._cold() if self.cold else Forked(["serve"], self.environment, self.log)
        wait_until(
            lambda: not self.running or (announced.exists() and announced.read_bytes() not in (b"", before)),
            seconds,
            "the start of the server",
        )
        if not self.running:
            raise AssertionError(f"the server did not start:\n{self.said()}")
        about = json.loads(announced.read_bytes())
        self._pid, self.url = about["pid"], about["url"]
        self.http = self._client(httpx2.HTTPTransport())

    def _cold(self) -> Started:
        command = [*self.wrap, sys.executable, "-m", "headrace", "serve"]
        with self.log.open("ab") as log:
            return subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)

    def _client(self, transport: httpx2.HTTPTransport) -> httpx2.Client:
        token = (self.data_dir / "token").read_text()
        headers = {"Authorization": f"Bearer {token}"}
        return httpx2.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=60, transport=transport)

    @contextmanager
    def asked_through(self, transport: httpx2.HTTPTransport) -> Iterator[None]:
        """Questions take another way meanwhile."""
        usual, self.http = self.http, self._client(transport)
        try:
            yield
        finally:
            self.http.close()
            self.http = usual

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def kill(self) -> None:
        """As a crash would: no chance to say anything."""
        self._signal(signal.SIGKILL)
        self._gone(10)

    def stop(self, seconds: float = 30) -> None:
        """In order, if it runs."""
        if self.running:
            self._signal(signal.SIGTERM)
            self._gone(seconds)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        if self.running:
            with suppress(ProcessLookupError):
                self.thaw()
            try:
                self.stop()
            except AssertionError:
                self.kill()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._pid or self._process.pid, number)

    def _gone(self, seconds: float) -> None:
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server did not end within {seconds:g} s") from None
        finally:
            self.http.close()

    # What a client does

    def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """An answer that is no fault of ours: a 500 is one."""
        answer = self.http.request(method, path, **options)
        if answer.status_code == 500:
            raise AssertionError(f"HTTP 500 for {method} {path}: {answer.text[:500]}\n{self.said()}")
        return answer

    def json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = self.ask(method, path, **options)
        if not answer.is_success:
            raise AssertionError(f"{answer.status_code} for {method} {path}: {answer.text[:500]}")
        body: dict[str, Any] = answer.json()
        return body

    def project(self, name: str) -> dict[str, Any]:
        return self.json("POST", "/workspaces/default/projects", json={"name": name})

    def upload(self, project_id: str, files: Mapping[str, str], **query: str) -> dict[str, Any]:
        headers = {"Content-Type": "application/x-tar"}
        path = f"/projects/{project_id}/versions"
        return self.json("POST", path, params=query, content=tar_of(files), headers=headers)

    def build(self, project_id: str, **options: Any) -> dict[str, Any]:
        return self.json("POST", f"/projects/{project_id}/builds", json={"options": options})

    def see(self, build_id: str) -> dict[str, Any]:
        return self.json("GET", f"/builds/{build_id}")

    def cancel(self, build_id: str) -> httpx2.Response:
        return self.ask("POST", f"/builds/{build_id}/cancel")

    def until_ended(self, build_id: str, seconds: float = 90) -> dict[str, Any]:
        wait_until(lambda: self.see(build_id)["status"] in ENDED, seconds, f"the end of {build_id}")
        return self.see(build_id)

    def events(self, build_id: str) -> list[dict[str, Any]]:
        answer = self.ask("GET", f"/builds/{build_id}/events")
        assert answer.is_success, answer.text
        return [json.loads(line) for line in answer.content.split(b"\n") if line]

    def log_path(self, build_id: str) -> Path:
        return self.data_dir / "logs" / f"{build_id}.ndjson"

    def until_logged(self, build_id: str, *parts: str, seconds: float = 60) -> None:
        """
        Until a record has all these parts, or the build has ended. Reads the file: a question to the server would change its
        timing.
        """
        wanted = [part.encode() for part in parts]

        def is_there() -> bool:
            with suppress(FileNotFoundError):
                lines = self.log_path(build_id).read_bytes().split(b"\n")
                return any(
                    all(part in line for part in wanted) or b'"type":"build.completed"' in line for line in lines
                )
            return False

        wait_until(is_there, seconds, f"{' '.join(parts)} in the log of {build_id}")

    def until_event(self, build_id: str, seconds: float = 60, **wanted: str) -> None:
        """Until an event with these fields is in the log."""
        wait_until(
            lambda: any(all(e.get(k) == v for k, v in wanted.items()) for e in self.events(build_id)),
            seconds,
            f"{wanted} in the log of {build_id}",
        )

    def site(self, slug: str, path: str = "/") -> httpx2.Response:
        host = f"{slug}.localhost:{self.url.rpartition(':')[2]}"
        return httpx2.get(self.url + path, headers={"Host": host}, timeout=30)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.close()


def tar_of(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()
