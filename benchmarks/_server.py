"""A server of our own in a directory of the benchmark, and projects in it."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from headrace.linux import die_with_parent

EXAMPLES = Path(__file__).parents[1] / "examples"


@contextmanager
def server(data_dir: Path, **settings: str) -> Iterator[httpx2.Client]:
    """A client of a running `headrace serve`. `settings` are variables without their prefix."""
    data_dir.mkdir(mode=0o700, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    environment |= {"HEADRACE_DATA_DIR": str(data_dir), "HEADRACE_PORT": "0"}
    environment |= {f"HEADRACE_{name.upper()}": value for name, value in settings.items()}
    announced = data_dir / "server.json"
    announced.unlink(missing_ok=True)
    with (data_dir / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "headrace", "serve"],
            env=environment,
            stdout=log,
            stderr=log,
            # A benchmark that is killed leaves nothing that takes the processors of what is measured next.
            preexec_fn=lambda: die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - there are no threads yet
        )
    try:
        while not announced.exists():
            assert process.poll() is None, (data_dir / "server.log").read_text()
            time.sleep(0.01)
        token = (data_dir / "token").read_text()
        with httpx2.Client(
            base_url=json.loads(announced.read_text())["url"] + "/api/v1",
            headers={"Authorization": f"Bearer {token}", "X-Process": str(process.pid)},
            timeout=600,
        ) as client:
            yield client
    finally:
        process.terminate()
        process.wait()


def process_of(client: httpx2.Client) -> int:
    return int(client.headers["X-Process"])


def new_project(client: httpx2.Client, name: str, **settings: Any) -> str:
    answer = client.post("/workspaces/default/projects", json={"name": name, "settings": settings})
    answer.raise_for_status()
    project: str = answer.json()["id"]
    return project


def new_version(client: httpx2.Client, project: str, files: Mapping[str, str]) -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    headers = {"Content-Type": "application/x-tar"}
    answer = client.post(f"/projects/{project}/versions", content=packed.getvalue(), headers=headers)
    answer.raise_for_status()
    version: str = answer.json()["id"]
    return version


def sync(client: httpx2.Client, project: str, files: Sequence[dict[str, Any]], **options: Any) -> dict[str, Any]:
    """Send files and wait for what comes of them."""
    answer = client.post(f"/projects/{project}/sync", json={"files": files, "wait": True, "timeout": 100, **options})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def files_of(directory: Path) -> list[dict[str, Any]]:
    """A directory's files as a sync sends them."""
    paths = [path for path in sorted(directory.rglob("*")) if path.is_file() and "node_modules" not in path.parts]
    return [
        {
            "path": str(path.relative_to(directory)),
            "content": b64encode(path.read_bytes()).decode(),
            "encoding": "base64",
        }
        for path in paths
    ]
