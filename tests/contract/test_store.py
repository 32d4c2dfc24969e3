"""What every store promises."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from headrace.errors import CorruptBlob, InvalidInput, NotFound
from headrace.model.digest import Digest, digest_of, hex_of
from headrace.store.base import BlobFile, Store
from headrace.store.local import LocalStore
from headrace.store.memory import MemoryStore

#: Changes the bytes that a store holds, behind its back.
Damage = Callable[[Digest, bytes], None]


def make_local(tmp_path: Path) -> tuple[Store, Damage]:
    root = tmp_path / "blobs"

    def damage(digest: Digest, data: bytes) -> None:
        with closing(sqlite3.connect(root / "packed.db", isolation_level=None)) as packed:
            packed.execute("UPDATE blob SET form = 0, data = ? WHERE hex(digest) = upper(?)", (data, hex_of(digest)))

    return LocalStore(root), damage


def make_files(tmp_path: Path) -> tuple[Store, Damage]:
    """Every blob a file, as large ones are, and as all were before small ones were packed."""
    root = tmp_path / "blobs"

    def damage(digest: Digest, data: bytes) -> None:
        path = root / hex_of(digest)[:2] / hex_of(digest)
        path.chmod(0o600)
        path.write_bytes(data)

    return LocalStore(root, small=-1), damage


def make_memory(tmp_path: Path) -> tuple[Store, Damage]:
    store = MemoryStore()
    return store, store._blobs.__setitem__


@pytest.fixture(params=[make_local, make_files, make_memory], ids=["packed", "files", "memory"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Store, Damage]:
    pair: tuple[Store, Damage] = request.param(tmp_path)
    return pair


@pytest.fixture
def store(made: tuple[Store, Damage]) -> Store:
    return made[0]


@pytest.fixture
def damage(made: tuple[Store, Damage]) -> Damage:
    return made[1]


async def read_stream(store: Store, digest: Digest, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.stream(digest, start, end)])


@pytest.mark.parametrize("data", [b"", b"x", b"hello\n" * 1000, os.urandom(3_000_001)], ids=len)
async def test_what_was_put_is_read(store: Store, data: bytes) -> None:
    digest = await store.put(data)
    assert digest == digest_of(data)
    assert await store.read(digest) == data
    assert await store.size(digest) == len(data)


async def test_digests_of_many_come_in_order_also_when_blobs_repeat(store: Store) -> None:
    blobs = [b"a", b"b", b"a", b"", b"b"]
    assert await store.put_many(iter(blobs)) == [digest_of(blob) for blob in blobs]
    assert {digest async for digest, _ in store.all()} == {digest_of(blob) for blob in blobs}


async def test_more_blobs_than_a_batch_are_all_stored(store: Store) -> None:
    digests = await store.put_many(str(number).encode() for number in range(700))
    assert not await store.missing(digests)
    assert await store.read(digests[699]) == b"699"


async def test_an_error_while_blobs_are_made_passes_and_leaves_the_store_usable(store: Store) -> None:
    def blobs() -> Iterator[bytes]:
        yield b"first"
        raise RuntimeError("the reader broke")

    with pytest.raises(RuntimeError, match="the reader broke"):
        await store.put_many(blobs())
    assert await store.read(await store.put(b"first")) == b"first"


async def test_missing_names_only_what_is_not_stored(store: Store) -> None:
    here, gone = await store.put(b"here"), digest_of(b"gone")
    assert await store.missing([here, gone]) == {gone}


async def test_an_unknown_digest_is_not_found(store: Store, tmp_path: Path) -> None:
    gone = digest_of(b"gone")
    for call in (store.read(gone), store.size(gone), read_stream(store, gone), store.write_to(gone, tmp_path / "f")):
        with pytest.raises(NotFound):
            await call
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(("start", "end"), [(0, None), (0, 0), (5, 9), (1_500_000, None), (2_999_999, 4_000_000)])
async def test_a_range_is_streamed(store: Store, start: int, end: int | None) -> None:
    data = os.urandom(3_000_000)
    digest = await store.put(data)
    assert await read_stream(store, digest, start, end) == data[start:end]


@pytest.mark.parametrize("bit", [0, 7, 4000 * 8 + 3])
async def test_a_flipped_bit_is_found_and_the_blob_dropped(store: Store, damage: Damage, bit: int) -> None:
    data = bytearray(os.urandom(5000))
    digest = await store.put(bytes(data))
    data[bit // 8] ^= 1 << (bit % 8)
    damage(digest, bytes(data))
    with pytest.raises(CorruptBlob):
        await store.read(digest)
    assert await store.missing([digest]) == {digest}


async def test_a_corrupt_blob_is_not_written_to_a_file(store: Store, damage: Damage, tmp_path: Path) -> None:
    digest = await store.put(b"good bytes")
    damage(digest, b"evil bytes")
    with pytest.raises(CorruptBlob):
        await store.write_to(digest, tmp_path / "file")
    assert not (tmp_path / "file").exists()
    assert await store.missing([digest]) == {digest}


async def test_putting_again_mends_a_cut_blob(store: Store, damage: Damage) -> None:
    digest = await store.put(b"whole")
    damage(digest, b"who")
    await store.put(b"whole")
    assert await store.read(digest) == b"whole"


async def test_a_file_is_stored_by_path_and_by_descriptor(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    assert await store.put_file(path) == digest_of(b"content")
    path.write_bytes(b"other content")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.lseek(descriptor, 3, os.SEEK_SET)
        assert await store.put_file(descriptor) == digest_of(b"other content")
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 3
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("stored_before", [False, True])
async def test_a_file_without_the_declared_digest_is_refused(store: Store, tmp_path: Path, stored_before: bool) -> None:
    declared = digest_of(b"secret")
    if stored_before:
        await store.put(b"secret")
    path = tmp_path / "file"
    path.write_bytes(b"guess!")
    with pytest.raises(CorruptBlob):
        await store.put_file(path, declared)
    assert await store.missing([declared, digest_of(b"guess!")]) >= {digest_of(b"guess!")}


async def test_links_and_fifos_are_not_stored_as_files(store: Store, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo"):
        with pytest.raises(InvalidInput):
            await store.put_file(tmp_path / name)


async def test_written_files_have_their_bytes_and_modes(store: Store, tmp_path: Path) -> None:
    plain, script = await store.put_many([b"plain", b"#!/bin/sh\n"])
    await store.write_many(
        [
            BlobFile(plain, tmp_path / "a"),
            BlobFile(script, tmp_path / "b", executable=True),
            BlobFile(plain, tmp_path / "c"),
        ]
    )
    assert [(tmp_path / name).read_bytes() for name in "abc"] == [b"plain", b"#!/bin/sh\n", b"plain"]
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "abc"] == [0o644, 0o755, 0o644]


async def test_changing_a_written_file_changes_no_blob(store: Store, tmp_path: Path) -> None:
    digest = await store.put(b"original")
    await store.write_to(digest, tmp_path / "file")
    (tmp_path / "file").write_bytes(b"tampered")
    assert await store.read(digest) == b"original"


async def test_an_existing_file_is_not_overwritten(store: Store, tmp_path: Path) -> None:
    digest = await store.put(b"new")
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        await store.write_to(digest, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"old"


async def test_deleting_twice_is_harmless(store: Store) -> None:
    digest = await store.put(b"x")
    await store.delete(digest)
    await store.delete(digest)
    assert await store.missing([digest]) == {digest}


async def test_a_collector_does_not_delete_what_was_put_again_meanwhile(store: Store) -> None:
    digest = await store.put(b"x")
    began = time.time()
    await store.put(b"x")
    await store.delete(digest, unless_put_since=began)
    assert not await store.missing([digest])
    await store.delete(digest, unless_put_since=time.time() + 60)
    assert await store.missing([digest])


async def test_twenty_writers_of_the_same_blobs_agree(store: Store) -> None:
    blobs = [bytes([number]) * 2000 for number in range(50)]
    for _ in range(5):
        await asyncio.gather(*(store.put_many(blobs) for _ in range(20)))
        for blob in blobs[::10]:
            assert await store.read(digest_of(blob)) == blob
            await store.delete(digest_of(blob))
    assert len([1 async for _ in store.all()]) == 45
