"""What only the store on disk has to promise: that crashes, full disks and power cuts leave it whole."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.model.digest import hex_of
from headrace.store.local import LocalStore

WRITER = """
import asyncio, os, pathlib, sys
from headrace.store.local import LocalStore

async def main() -> None:
    store = LocalStore(pathlib.Path(sys.argv[1]))
    while True:
        await store.put_many([os.urandom(20_000) for _ in range(20)])
        print("stored", flush=True)
        await store.put(os.urandom(1_000_000))

asyncio.run(main())
"""


def test_a_writer_killed_at_any_moment_leaves_only_whole_blobs(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "blobs")]
    for number in range(8):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(1 + number % 3):
                assert writer.stdout.readline() == b"stored\n"
            time.sleep(0.002 * number)
            writer.kill()
    # Of what was announced, everything is there.
    assert asyncio.run(read_all(LocalStore(tmp_path / "blobs"))) >= 20 * (1 + 2 + 3 + 1 + 2 + 3 + 1 + 2)


async def read_all(store: LocalStore) -> int:
    """The number of blobs. Reading verifies them."""
    digests = [digest async for digest, _ in store.all()]
    for digest in digests:
        await store.read(digest)
    return len(digests)


async def test_unfinished_files_of_processes_that_are_gone_are_removed_after_a_day(tmp_path: Path) -> None:
    incoming = tmp_path / "blobs/incoming"
    incoming.mkdir(parents=True)
    (incoming / "young").write_bytes(b"x")
    (incoming / "old").write_bytes(b"x")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(incoming / "old", (two_days_ago, two_days_ago))
    await LocalStore(tmp_path / "blobs", small=-1).put(b"blob")
    assert [path.name for path in incoming.iterdir()] == ["young"]


async def test_a_bad_blob_that_was_replaced_meanwhile_is_not_dropped(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "blobs", small=-1)
    digest = await store.put(b"good")
    path = tmp_path / "blobs" / hex_of(digest)[:2] / hex_of(digest)
    descriptor = store._blobs._files.open(digest)
    # Another process puts a new file in its place after this one has opened the old one.
    path.unlink()
    await store.put(b"good")
    store._blobs._files._corrupt(digest, descriptor)
    assert await store.read(digest) == b"good"
    os.close(descriptor)


FULL = """
import asyncio, os, pathlib, subprocess, sys
from headrace.errors import StoreFull
from headrace.store.local import LocalStore

async def main() -> None:
    root = pathlib.Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", sys.argv[2], "tmpfs", str(root)], check=True)
    store = LocalStore(root / "blobs")
    kept, large = [await store.put(b"kept")], [await store.put(os.urandom(50_000))]
    try:
        for _ in range(2000):
            kept.append(await store.put(os.urandom(5000)))
            large.append(await store.put(os.urandom(50_000 if sys.argv[2].startswith("size") else 33_000)))
    except StoreFull as full:
        print(full.exact_code)
    for digest in kept + large:
        await store.read(digest)
    print(sorted(path.name for path in (root / "blobs/incoming").iterdir()))
    for digest in large[:20]:
        await store.delete(digest)
    for _ in range(20):
        await store.put(os.urandom(5000))
    await store.put(os.urandom(50_000))
    print("writes again")

asyncio.run(main())
"""


@pytest.mark.sandbox
@pytest.mark.parametrize("limit", ["size=2m", "nr_inodes=600"])
def test_a_full_disk_is_named_loses_nothing_and_is_left_as_soon_as_there_is_space(tmp_path: Path, limit: str) -> None:
    command = ["unshare", "--map-root-user", "--mount", sys.executable, "-c", FULL, str(tmp_path), limit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:3] == ["storage.full", "[]", "writes again"], done.stderr
