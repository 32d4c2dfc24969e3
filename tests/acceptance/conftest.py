"""Headrace as a user has it: processes of its own, real sandboxes, HTTP."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def provisions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Base system and tool chains, made once and shared by the data directories of all tests on this machine."""
    kept = os.environ.get("TEST_PROVISIONS")
    place = Path(kept) if kept else tmp_path_factory.getbasetemp().parent / "provisions"
    place.mkdir(parents=True, exist_ok=True)
    return place


@pytest.fixture
def data_dir(tmp_path: Path, provisions: Path) -> Path:
    """An empty data directory that needs not fetch what every test needs."""
    place = tmp_path / "data"
    place.mkdir(mode=0o700)
    for shared in ("base", "tools"):
        (provisions / shared).mkdir(exist_ok=True)
        (place / shared).symlink_to(provisions / shared)
    return place


@pytest.fixture
def environment(data_dir: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    return kept | {"HEADRACE_DATA_DIR": str(data_dir), "HEADRACE_PORT": "0", "NO_COLOR": "1"}


class Server:
    """A `headrace serve` process over a data directory; it can be killed and started again."""

    def __init__(self, environment: dict[str, str], data_dir: Path) -> None:
        self.environment = environment
        self.data_dir = data_dir
        self.process: subprocess.Popen[bytes] | None = None
        self.log = data_dir.parent / "server.log"
        #: What stands before the server's command line, such as a tracer.
        self.before: list[str] = []

    def start(self) -> None:
        announced = self.data_dir / "server.json"
        announced.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.before, sys.executable, "-m", "headrace", "serve"],
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: announced.exists() or self._ended(), seconds=60)
        if not announced.exists():
            raise AssertionError(f"the server did not start:\n{self.log.read_text()[-4000:]}")
        self.url = json.loads(announced.read_text())["url"]
        token = (self.data_dir / "token").read_text()
        self.http = httpx2.Client(
            base_url=f"{self.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60
        )

    def _ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def kill(self) -> None:
        """As a crash would: no chance to say anything."""
        assert self.process
        self.http.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if hasattr(self, "http"):
            self.http.close()
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise AssertionError("the server did not stop within 30 s of SIGTERM") from None

    def project(self, name: str) -> dict[str, Any]:
        return self._json(self.http.post("/workspaces/default/projects", json={"name": name}))

    def upload(self, project_id: str, files: dict[str, str], **query: str) -> dict[str, Any]:
        return self._json(
            self.http.post(
                f"/projects/{project_id}/versions",
                params=query,
                content=tar_of(files),
                headers={"Content-Type": "application/x-tar"},
            )
        )

    def build(self, project_id: str, **options: Any) -> dict[str, Any]:
        return self._json(self.http.post(f"/projects/{project_id}/builds", json={"options": options}))

    def cancel(self, build_id: str) -> httpx2.Response:
        return self.http.post(f"/builds/{build_id}/cancel")

    def see(self, build_id: str) -> dict[str, Any]:
        return self._json(self.http.get(f"/builds/{build_id}"))

    def events(self, build_id: str) -> list[dict[str, Any]]:
        answer = self.http.get(f"/builds/{build_id}/events")
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def until_ended(self, build_id: str, seconds: float = 90) -> dict[str, Any]:
        wait_until(lambda: self.see(build_id)["status"] in ("succeeded", "failed", "cancelled"), seconds)
        return self.see(build_id)

    def until_event(self, build_id: str, seconds: float = 60, **wanted: str) -> None:
        """Until an event with these fields is in the log."""
        wait_until(lambda: any(all(e.get(k) == v for k, v in wanted.items()) for e in self.events(build_id)), seconds)

    @staticmethod
    def _json(answer: httpx2.Response) -> dict[str, Any]:
        assert answer.is_success, answer.text
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture
def server(environment: dict[str, str], data_dir: Path) -> Iterator[Server]:
    server = Server(environment, data_dir)
    server.start()
    yield server
    server.stop()


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {seconds} s")
        time.sleep(0.02)


def tar_of(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()
