"""Builds that print their secret in every form, and a look at everything that is kept of them."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from backports.zstd import decompress
from tests.acceptance.test_secrets import CANARY, FORMS, found_in, project

from endurance.rig import Rig
from headrace.store.local import LocalStore

#: What the build command does beside printing, and how its build ends.
KINDS = (
    ("python3 say.py", "succeeded"),
    ("python3 say.py fail", "failed"),
    ("python3 say.py && printenv TOKEN > dist/leak.txt", "failed"),
    ("python3 say.py && (printenv TOKEN | base64 -w 0; yes noise | head -c 300000; printenv TOKEN)", "succeeded"),
)
_AT_ONCE = 3


@dataclass
class Leaks:
    builds: int = 0
    #: How often `[secret]` stands in the logs: each is a secret that was printed.
    masked: int = 0
    #: Where a secret was found.
    found: list[str] = field(default_factory=list)


def leaks(rig: Rig, count: int, *, minutes: float) -> Leaks:
    """`count` builds, each with a secret of its own; all begin with the same bytes, which are what is searched for."""
    said, end = Leaks(), time.monotonic() + minutes * 60
    with watched_arguments(said), ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda number: _one(rig, number, said) if time.monotonic() < end else None, range(count)))
    said.found += [
        f"what a server says: {form}" for form in FORMS if form in rig.server.log.read_text(errors="replace")
    ]
    rig.server.stop()
    said.found += found_in(rig.data_dir)
    said.found += _in_packed(rig.data_dir)
    return said


def _one(rig: Rig, number: int, said: Leaks) -> None:
    server = rig.server
    command, ends = KINDS[number % len(KINDS)]
    shop = server.project(f"secrets-{number}")
    server.json(
        "PUT", f"/projects/{shop['id']}/secrets/TOKEN", json={"value": f"{CANARY}{number:08}{rig.random.random()}"}
    )
    server.upload(shop["id"], project(command))
    build = server.until_ended(server.build(shop["id"])["id"], 600)
    assert build["status"] == ends, build
    path = f"/builds/{build['id']}"
    answers = {
        "a build": server.ask("GET", path).text,
        "events": server.ask("GET", f"{path}/events").text,
        "a log": server.ask("GET", f"{path}/logs", params={"format": "raw"}).text,
        "a plan": server.ask("GET", f"{path}/plan").text,
        "a cache's decisions": server.ask("GET", f"{path}/cache").text,
    }
    said.found += [f"{what} of {command}: {form}" for what, text in answers.items() for form in FORMS if form in text]
    said.masked += answers["a log"].count("[secret]")
    said.builds += 1


@contextmanager
def watched_arguments(said: Leaks) -> Iterator[None]:
    """Arguments of all processes of this machine, looked at all the time."""
    enough = threading.Event()

    def look() -> None:
        while not enough.wait(0.1):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    words = process.read_bytes()
                    said.found += [f"arguments {words[:200]!r}: {form}" for form in FORMS if form.encode() in words]

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def _in_packed(data_dir: Path) -> list[str]:
    """What lies on disk compressed: logs that have ended, and blobs."""
    held = {path.name: decompress(path.read_bytes()) for path in (data_dir / "logs").glob("*.zst")}
    held |= asyncio.run(_blobs(data_dir / "blobs"))
    return [f"{name}: {form}" for name, data in held.items() for form in FORMS if form.encode() in data]


async def _blobs(place: Path) -> dict[str, bytes]:
    store = LocalStore(place)
    return {digest: await store.read(digest) async for digest, _ in store.all()}
