"""Differences: what they save, how far they reach, and that nothing which others need goes away."""

import asyncio
import hashlib
import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from headrace.errors import CorruptBlob, DatabaseUnusable, NotFound
from headrace.model.digest import Digest, digest_of, hex_of
from headrace.store._rows import DEPTH
from headrace.store.local import LocalStore


def text(size: int, seed: int = 0) -> bytes:
    """Text that hardly shrinks by itself."""
    return b"\n".join(hashlib.sha256(b"%d %d" % (seed, number)).hexdigest().encode() for number in range(size // 65))


def edited(data: bytes, at: int, word: bytes = b"edited") -> bytes:
    return data[:at] + word + data[at + len(word) :]


def rows(
    root: Path, query: str = "SELECT hex(digest), length(data), base, hidden, form FROM blob"
) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(root / "packed.db")) as packed:
        return packed.execute(query).fetchall()


def row(root: Path, digest: Digest) -> tuple[object, ...]:
    return next(found for found in rows(root) if found[0] == hex_of(digest).upper())


def spoil(root: Path, digest: Digest) -> None:
    with closing(sqlite3.connect(root / "packed.db", isolation_level=None)) as packed:
        packed.execute("UPDATE blob SET data = x'00112233' WHERE hex(digest) = ?", (hex_of(digest).upper(),))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root)


@pytest.mark.parametrize("size", [3000, 30_000, 700_000, 3_000_000])
async def test_what_resembles_a_blob_is_stored_as_what_differs(store: LocalStore, root: Path, size: int) -> None:
    old = text(size)
    first = await store.put(old)
    second = await store.put(edited(old, size // 2), like=first)
    assert await store.read(second) == edited(old, size // 2)
    assert int(str(row(root, second)[1])) < 500
    assert {digest async for digest, _ in store.all()} == {first, second}


async def test_a_hint_that_helps_nothing_is_not_followed(store: LocalStore, root: Path) -> None:
    other = await store.put(text(3000))
    for like in (other, digest_of(b"never stored"), await store.put(b"")):
        digest = await store.put(text(3000, seed=len(like)), like=like)
        assert row(root, digest)[2] is None
    itself = digest_of(text(500, seed=9))
    assert await store.read(await store.put(text(500, seed=9), like=itself)) == text(500, seed=9)


async def test_hints_of_many_go_by_their_order(store: LocalStore, root: Path) -> None:
    old = [text(4000, seed) for seed in range(3)]
    likes = await store.put_many(old)
    new = await store.put_many([edited(blob, 700) for blob in (*old, text(4000, 9))], likes=[likes[0], None, likes[2]])
    assert [row(root, digest)[2] is not None for digest in new] == [True, False, True, False]
    assert [await store.read(digest) for digest in new[:3]] == [edited(blob, 700) for blob in old]


async def test_a_chain_is_begun_anew_before_it_is_too_long(store: LocalStore, root: Path) -> None:
    data = text(8000)
    digests = [await store.put(data)]
    for number in range(40):
        data = edited(data, 100 * number)
        digests.append(await store.put(data, like=digests[-1]))
    depth = """WITH RECURSIVE chain(id, length) AS (SELECT id, 0 FROM blob WHERE base IS NULL
        UNION ALL SELECT blob.id, length + 1 FROM blob JOIN chain ON base = chain.id) SELECT max(length) FROM chain"""
    assert rows(root, depth) == [(DEPTH,)]
    assert await store.read(digests[-1]) == data
    assert sum(int(str(found[1])) for found in rows(root)) < 4 * 8000


@pytest.mark.parametrize("size", [5000, 200_000])
async def test_what_others_need_outlives_its_deletion_unseen(store: LocalStore, root: Path, size: int) -> None:
    old = text(size)
    first = await store.put(old)
    second = await store.put(edited(old, 900), like=first)
    await store.delete(first)
    assert await store.missing([first, second]) == {first}
    assert [digest async for digest, _ in store.all()] == [second]
    for call in (store.read(first), store.size(first), store.write_to(first, root / "file")):
        with pytest.raises(NotFound):
            await call
    assert await store.read(second) == edited(old, 900)
    await store.delete(second)
    assert rows(root) == []
    assert rows(root, "SELECT * FROM uses") == []
    assert [path for path in root.glob("??/*") if path.is_file()] == []


@pytest.mark.parametrize("size", [5000, 200_000])
async def test_what_was_deleted_and_is_put_again_is_seen_again(store: LocalStore, root: Path, size: int) -> None:
    old = text(size)
    first = await store.put(old)
    second = await store.put(edited(old, 900), like=first)
    await store.delete(first)
    assert await store.put(old) == first
    assert await store.read(first) == old
    await store.delete(second)
    assert await store.read(first) == old
    await store.delete(first)
    assert [digest async for digest, _ in store.all()] == []


async def test_a_file_that_others_need_is_not_deleted_when_it_was_put_again(store: LocalStore) -> None:
    first = await store.put(text(200_000))
    began = time.time()
    await store.put(edited(text(200_000), 5), like=first)
    await store.put(text(200_000))
    await store.delete(first, unless_put_since=began)
    assert not await store.missing([first])


async def test_any_order_of_deletions_keeps_the_rest_readable_and_leaves_nothing(store: LocalStore, root: Path) -> None:
    chance = random.Random(3)  # noqa: S311 - not a secret
    contents: dict[Digest, bytes] = {}
    data = text(6000)
    for number in range(60):
        like = chance.choice([None, *contents])
        data = edited(contents[like] if like else text(6000), 61 * number, b"edit%d" % number)
        contents[await store.put(data, like=like)] = data
    left = list(contents)
    chance.shuffle(left)
    while left:
        await store.delete(left.pop())
        for digest in left[-5:]:
            assert await store.read(digest) == contents[digest]
    assert rows(root) == []
    assert rows(root, "SELECT * FROM uses") == []


async def test_a_damaged_base_is_found_by_who_needs_it_and_mended_by_putting_it_again(
    store: LocalStore, root: Path
) -> None:
    old = text(5000)
    first = await store.put(old)
    second = await store.put(edited(old, 9), like=first)
    third = await store.put(edited(old, 999), like=first)
    spoil(root, first)
    with pytest.raises(CorruptBlob):
        await store.read(second)
    assert await store.missing([first, second, third]) == {first, second}
    await store.put(old)
    assert await store.read(first) == old
    assert await store.read(third) == edited(old, 999)
    assert await store.put(edited(old, 9), like=first) == second
    assert await store.read(second) == edited(old, 9)


async def test_a_damaged_file_that_differences_need_is_found_and_mended(store: LocalStore, root: Path) -> None:
    old = text(200_000)
    first = await store.put(old)
    second = await store.put(edited(old, 9), like=first)
    path = root / hex_of(first)[:2] / hex_of(first)
    path.chmod(0o600)
    path.write_bytes(edited(old, 100))
    with pytest.raises(CorruptBlob):
        await store.read(second)
    assert await store.missing([first, second]) == {first, second}
    await store.put(old)
    await store.put(edited(old, 9), like=first)
    assert [await store.read(first), await store.read(second)] == [old, edited(old, 9)]


async def test_a_damaged_difference_is_mended_in_place_for_those_above_it(store: LocalStore, root: Path) -> None:
    versions = [text(5000), edited(text(5000), 9), edited(edited(text(5000), 9), 99)]
    first = await store.put(versions[0])
    second = await store.put(versions[1], like=first)
    third = await store.put(versions[2], like=second)
    spoil(root, second)
    await store.put(versions[1], like=third)
    assert [await store.read(digest) for digest in (first, second, third)] == versions


async def test_a_base_that_goes_while_a_difference_is_made_costs_nothing(root: Path) -> None:
    one, other = LocalStore(root), LocalStore(root)
    old = text(9000)

    async def put_and_delete(store: LocalStore, number: int) -> None:
        for turn in range(15):
            first = await store.put(old)
            data = edited(old, 7 * turn, b"%d/%d" % (number, turn))
            assert await store.read(await store.put(data, like=first)) == data
            await store.delete(first)

    await asyncio.gather(*(put_and_delete(store, number) for number, store in enumerate([one, other] * 4)))
    async for digest, _ in one.all():
        await one.read(digest)


async def test_blobs_that_are_files_since_before_are_found_and_stay_files(root: Path) -> None:
    before = LocalStore(root, small=-1)
    digest = await before.put(b"a small one")
    store = LocalStore(root)
    assert await store.read(digest) == b"a small one"
    assert await store.put(b"a small one") == digest
    assert [found async for found in store.all()] == [(digest, 11)]
    await store.delete(digest)
    assert await store.missing([digest]) == {digest}


async def test_rows_that_begin_alike_are_told_apart(store: LocalStore, root: Path) -> None:
    digest = await store.put(b"data")
    alike = digest[:30] + ("0" if digest[30] != "0" else "1") + digest[31:]
    assert await store.missing([alike]) == {alike}
    with closing(sqlite3.connect(root / "packed.db", isolation_level=None)) as packed:
        packed.execute(
            "INSERT INTO blob (digest, put_at, size, form, hidden, data) VALUES (?, 0, 1, 0, 0, x'00')",
            (bytes.fromhex(hex_of(alike)),),
        )
    assert await store.read(digest) == b"data"


async def test_a_store_that_was_replaced_while_in_use_is_not_written_to(store: LocalStore, root: Path) -> None:
    await store.put(b"one")
    (root / "packed.db").unlink()
    with pytest.raises(DatabaseUnusable, match="replaced"):
        await store.put(b"two")


async def test_a_pack_that_is_no_database_says_so(root: Path) -> None:
    root.mkdir()
    (root / "packed.db").write_bytes(os.urandom(8192))
    with pytest.raises(DatabaseUnusable, match="damaged"):
        await LocalStore(root).read(digest_of(b"x"))


WRITER = """
import asyncio, os, pathlib, sys
from headrace.store.local import LocalStore

async def main() -> None:
    store = LocalStore(pathlib.Path(sys.argv[1]))
    data = os.urandom(3000).hex().encode()
    digest = await store.put(data)
    print(digest, flush=True)
    async def change(number: int) -> None:
        last, bytes_ = digest, data
        for turn in range(int(sys.argv[2])):
            at = (turn * 97 + number) % 5000
            bytes_ = bytes_[:at] + b"%d.%d" % (number, turn) + bytes_[at:]
            new = await store.put(bytes_, like=last)
            print(new, flush=True)
            if turn % 3 == 2:
                await store.delete(last)
                print("-" + last, flush=True)
            last = new
    await asyncio.gather(*(change(number) for number in range(5)))

asyncio.run(main())
"""


def acknowledged(output: bytes) -> set[Digest]:
    lines = [line for line in output.decode().split("\n")[:-1] if line]
    gone = {line[1:] for line in lines if line[0] == "-"}
    return {line for line in lines if line[0] != "-"} - gone


def test_what_was_acknowledged_survives_any_kill_and_verifies(root: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(root), "100000"]
    for number in range(6):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            output = writer.stdout.readline()
            time.sleep(0.05 + 0.03 * number)
            writer.kill()
            output += writer.stdout.read()
        asyncio.run(read_all(root, maybe_deleted(acknowledged(output), output)))
    assert rows(root, "PRAGMA integrity_check") == [("ok",)]
    counted = "SELECT base, count(*) FROM blob WHERE base IS NOT NULL GROUP BY base ORDER BY base"
    assert rows(root, counted) == rows(root, "SELECT base, count FROM uses ORDER BY base")


def maybe_deleted(stored: set[Digest], output: bytes) -> set[Digest]:
    """A deletion is announced after it was done, so the last of each writer may be unannounced: only the newest are certain."""
    return set(output.decode().split("\n")[-3:-1]) & stored


async def read_all(root: Path, certain: set[Digest]) -> None:
    store = LocalStore(root)
    digests = {digest async for digest, _ in store.all()}
    assert certain <= digests
    for digest in digests:
        await store.read(digest)


def test_two_processes_that_write_at_once_lose_nothing(root: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(root), "40"]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    outputs = [writer.communicate(timeout=120)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    stored = acknowledged(b"".join(outputs))
    assert len(stored) > 200
    asyncio.run(read_all(root, stored))
