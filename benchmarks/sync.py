"""
Number 7: what a sync takes, from the request's first byte to the answer that the version is stored.

    python benchmarks/sync.py [--rounds 50] [--slow-rounds 3]

One file of 2 KB in a project of 5,000 files and in one of 12; 100 files at once; 5,000 files into an empty project; and the same
files again, so that nothing changes. The preview is none: who shows a version is measured elsewhere.

The limit is the least that any server would do with the same bytes, interleaved in the same run: SHA-256 of each file, each
written as a plain file and flushed to the disk (all of a batch are written before the first is waited for), and one commit of one
row by SQLite. Beside it stands the sync without HTTP, and how long hashing alone takes.
"""

import argparse
import asyncio
import hashlib
import json
import os
import secrets
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import httpx2
import structlog

from headrace.api.app import create_app
from headrace.bootstrap import open_services
from headrace.model.change import Change, Edit
from headrace.model.preview import PreviewState, PreviewStatus
from headrace.model.project import Project
from headrace.model.version import Author, Version
from headrace.pipeline.services import Services
from headrace.records import projects
from headrace.settings import Settings, api_token
from headrace.sync.recent import RecentTrees
from headrace.sync.sync import sync_files

Files = Mapping[str, bytes]
BYTES = 2048


class NoPreviews:
    """Answers at once."""

    def begin(self, project: Project, version_id: str, written: Files, removed: Sequence[str]) -> None:
        pass

    async def show(self, project: Project, version: Version) -> None:
        pass

    async def state(self, project: Project) -> PreviewState:
        return PreviewState(project_id=project.id, status=PreviewStatus.ASLEEP)


def made(count: int, first: int = 0) -> dict[str, bytes]:
    """Files that nobody has seen before, and that look like code: half of it is the same everywhere."""
    same = b"export const value = () => null\n" * (BYTES // 64)
    return {
        f"src/part{number % 50}/file{number}.ts": same + secrets.token_hex(BYTES // 4).encode()
        for number in range(first, first + count)
    }


class Bare:
    """The limit."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self._root = root
        self._db = sqlite3.connect(root / "db", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("CREATE TABLE versions (id TEXT PRIMARY KEY, row TEXT)")

    def sync(self, files: Files, *, flush: bool = True) -> float:
        began = time.perf_counter()
        held = []
        for data in files.values():
            name = self._root / hashlib.sha256(data).hexdigest()
            descriptor = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644)
            os.write(descriptor, data)
            held.append(descriptor)
            if len(held) == 500:
                self._let_go(held, flush=flush)
        self._let_go(held, flush=flush)
        self._db.execute("INSERT INTO versions VALUES (?, ?)", (secrets.token_hex(13), "x" * 300))
        return time.perf_counter() - began

    def _let_go(self, held: list[int], *, flush: bool) -> None:
        for descriptor in held:
            if flush:
                os.fsync(descriptor)
            os.close(descriptor)
        held.clear()


class Ours:
    def __init__(self, services: Services, client: httpx2.AsyncClient, recent: RecentTrees) -> None:
        self._services, self._client, self._recent = services, client, recent

    async def project(self) -> Project:
        answer = await self._client.post("/workspaces/default/projects", json={"name": "bench"})
        async with self._services.db.read() as c:
            project = await projects.get(c, answer.json()["id"])
        assert project is not None
        return project

    async def by_http(self, project: Project, files: Files) -> float:
        listed = [{"path": path, "content": data.decode()} for path, data in files.items()]
        body = json.dumps({"files": listed}).encode()
        began = time.perf_counter()
        answer = await self._client.post(
            f"/projects/{project.id}/sync", content=body, headers={"Content-Type": "application/json"}
        )
        took = time.perf_counter() - began
        assert answer.status_code == 200, answer.text
        return took

    async def direct(self, project: Project, files: Files) -> float:
        edits = tuple(Edit(path=path, content=data) for path, data in files.items())
        change = Change(edits=edits, author=Author(kind="agent", name="bench"))
        began = time.perf_counter()
        await sync_files(self._services, self._recent, project, change)
        return time.perf_counter() - began


async def rounds(
    count: int, files: Callable[[], Files], bare: Bare, *ours: Callable[[Files], Awaitable[float]]
) -> list[float]:
    """Medians of the limit and of each of ours, interleaved, each with files of its own."""
    times: list[list[float]] = [[] for _ in range(1 + len(ours))]
    for _ in range(count):
        times[0].append(bare.sync(files()))
        for at, one in enumerate(ours, 1):
            times[at].append(await one(files()))
    return [statistics.median(row) for row in times]


async def measure(place: Path, many: int, few: int) -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    settings = Settings(data_dir=place / "data", executor="process")
    bare = Bare(place / "bare")
    async with open_services(settings) as services:
        app = create_app(services, NoPreviews())  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {api_token(settings)}"}
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url="http://localhost/api/v1", headers=headers, timeout=600
        ) as client:
            await compare(Ours(services, client, app.state.recent), bare, many, few)


async def compare(ours: Ours, bare: Bare, many: int, few: int) -> None:
    small, large = await ours.project(), await ours.project()
    await ours.direct(small, made(12))
    everything = made(5000)
    await ours.direct(large, everything)

    def to(project: Project, way: Callable[[Project, Files], Awaitable[float]]) -> Callable[[Files], Awaitable[float]]:
        return lambda files: way(project, files)

    async def into_empty(files: Files) -> float:
        return await ours.by_http(await ours.project(), files)

    async def directly_into_empty(files: Files) -> float:
        return await ours.direct(await ours.project(), files)

    rows = {
        "1 file of 2 KB, project of 12 files": await rounds(
            many, lambda: made(1), bare, to(small, ours.by_http), to(small, ours.direct)
        ),
        "1 file of 2 KB, project of 5,000 files": await rounds(
            many, lambda: made(1), bare, to(large, ours.by_http), to(large, ours.direct)
        ),
        "100 files, project of 5,000 files": await rounds(
            max(few, many // 5), lambda: made(100), bare, to(large, ours.by_http), to(large, ours.direct)
        ),
        "5,000 files, first time": await rounds(few, lambda: made(5000), bare, into_empty, directly_into_empty),
    }
    await ours.direct(large, everything)
    again = await rounds(few, lambda: everything, bare, to(large, ours.by_http), to(large, ours.direct))
    one = dict(list(everything.items())[:1])
    again_one = await rounds(many, lambda: one, bare, to(large, ours.by_http), to(large, ours.direct))
    report(
        rows | {"5,000 files, nothing changed": again, "1 file, nothing changed": again_one}, hash_seconds(everything)
    )


def hash_seconds(files: Files) -> float:
    began = time.perf_counter()
    for data in files.values():
        hashlib.sha256(data).hexdigest()
    return time.perf_counter() - began


def report(rows: Mapping[str, list[float]], hashing: float) -> None:
    print(f"{'medians in ms':42} {'limit':>9} {'sync':>9} {'ratio':>7} {'without HTTP':>13}")
    for name, (limit, http, direct) in rows.items():
        print(f"{name:42} {limit * 1000:9.2f} {http * 1000:9.2f} {http / limit:7.2f} {direct * 1000:13.2f}")
    print(f"{'SHA-256 of 5,000 files, alone':42} {hashing * 1000:9.2f}")
    medians = {name: [round(seconds * 1000, 2) for seconds in row] for name, row in rows.items()}
    print(json.dumps({"benchmark": "sync", "hash_5000_ms": round(hashing * 1000, 2), "ms": medians}))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=50)
    arguments.add_argument("--slow-rounds", type=int, default=3)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as place:
        asyncio.run(measure(Path(place), options.rounds, options.slow_rounds))


if __name__ == "__main__":
    main()
