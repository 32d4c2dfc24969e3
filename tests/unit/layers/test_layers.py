"""Layers are saved by rename, found by key, kept while they are used, and gone when they are removed."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from threading import Barrier, Thread

import pytest

from headrace.disk import locked
from headrace.errors import NotFound
from headrace.layers.layers import Layer, Layers, pinned
from headrace.model.digest import digest_of, hex_of
from headrace.model.plan import CacheKey, KeyInput


def key_of(text: str) -> CacheKey:
    return CacheKey(
        digest=digest_of(text.encode()), inputs=(KeyInput(name="file package-lock.json", digest=digest_of(b"x")),)
    )


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(tmp_path / "layers")


@pytest.fixture
def save(layers: Layers, tmp_path: Path) -> Callable[..., Layer]:
    def saved(name: str, content: str = "x", made_by: str = "build_1", at: float | None = None) -> Layer:
        made = tmp_path / f"made-{name}"
        (made / "node_modules/a").mkdir(parents=True)
        (made / "node_modules/a/index.js").write_text(content)
        layer = layers.commit(key_of(name), made, made_by=made_by, seconds=2.5, scope="workspace:default")
        if at is not None:
            os.utime(layer.path.parent / "lock", (at, at))
        return layer

    return saved


def contents(layer: Layer) -> str:
    return (layer.path / "node_modules/a/index.js").read_text()


def leftovers(layers: Layers) -> list[str]:
    return [path.name for kind in (".making", ".removed") for path in (layers._root / kind).glob("*")]


def test_a_saved_layer_is_found_with_all_that_was_said_of_it(layers: Layers, save: Callable[..., Layer]) -> None:
    saved = save("a")
    found = layers.find(key_of("a").digest)
    assert found == saved
    assert (saved.bytes, saved.files, saved.seconds, saved.made_by) == (4096, 1, 2.5, "build_1")
    assert saved.key == key_of("a")
    assert contents(saved) == "x"
    assert Layers(layers._root).find(key_of("a").digest) == saved
    assert layers.all() == [saved]
    assert leftovers(layers) == []


def test_an_unknown_key_is_a_miss(layers: Layers) -> None:
    assert layers.find(key_of("a").digest) is None
    assert layers.all() == []
    assert layers.remove(key_of("a").digest) is False
    with pytest.raises(NotFound), layers.pin(key_of("a").digest):
        pass


def test_saving_moves_the_directory(layers: Layers, save: Callable[..., Layer], tmp_path: Path) -> None:
    save("a")
    assert not (tmp_path / "made-a").exists()


def test_the_loser_of_a_race_gets_the_winners_layer(layers: Layers, save: Callable[..., Layer]) -> None:
    winner = save("a", "first", "build_1")
    assert save("a", "second", "build_2") == winner
    assert contents(winner) == "first"
    assert leftovers(layers) == []


def test_twenty_writers_of_one_key_end_with_one_whole_layer(layers: Layers, tmp_path: Path) -> None:
    for number in range(50):
        key, barrier, seen = key_of(f"round {number}"), Barrier(20), list[str]()
        writers = [
            Thread(target=write_at_once, args=(layers._root, key, tmp_path / f"{number}-{n}", barrier, seen))
            for n in range(20)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        winner = layers.find(key.digest)
        assert winner is not None
        assert seen == [winner.made_by * 3] * 20
    assert leftovers(layers) == []


def write_at_once(root: Path, key: CacheKey, made: Path, barrier: Barrier, seen: list[str]) -> None:
    made.mkdir()
    for name in "abc":
        (made / name).write_text(made.name)
    barrier.wait()
    layer = Layers(root).commit(key, made, made_by=made.name, seconds=0, scope="")
    seen.append("".join((layer.path / name).read_text() for name in "abc"))


def test_pruning_takes_the_least_recently_used_and_never_pinned_or_kept_ones(
    layers: Layers, save: Callable[..., Layer]
) -> None:
    for age, name in enumerate(["newest", "touched", "kept", "old", "pinned", "oldest"]):
        save(name, at=time.time() - 1000 * age)
    layers.touch(key_of("touched").digest)
    with layers.pin(key_of("pinned").digest):
        os.utime(layers._root / hex_of(key_of("pinned").digest) / "lock", (1, 1))
        assert [layer.key for layer in layers.prune(5 * 4096)] == [key_of("oldest")]
        removed = layers.prune(0, keep={key_of("kept").digest})
        assert [layer.key for layer in removed] == [key_of("old"), key_of("newest"), key_of("touched")]
        assert {layer.key.digest for layer in layers.all()} == {key_of("kept").digest, key_of("pinned").digest}
    assert len(layers.prune(0)) == 2
    assert leftovers(layers) == []


def test_a_layer_that_is_removed_while_it_is_pinned_keeps_its_files_until_it_is_let_go(
    layers: Layers, save: Callable[..., Layer]
) -> None:
    layer = save("a")
    directory = os.open(layer.path, os.O_RDONLY)
    with layers.pin(layer.key.digest):
        assert layers.remove(layer.key.digest)
        assert layers.find(layer.key.digest) is None
        layers.sweep()
        assert os.listdir(directory) == ["node_modules"]
    layers.sweep()
    assert os.listdir(directory) == []
    os.close(directory)
    assert leftovers(layers) == []


def test_a_pin_of_another_process_counts_and_ends_with_it(layers: Layers, save: Callable[..., Layer]) -> None:
    layer = save("a")
    program = (
        "import sys, pathlib\nfrom headrace.layers.layers import Layers\n"
        "with Layers(pathlib.Path(sys.argv[1])).pin(sys.argv[2]):\n print('held', flush=True)\n sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(layers._root), layer.key.digest],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert layers.prune(0) == []
        other.kill()
        other.wait()
    assert [removed.key for removed in layers.prune(0)] == [layer.key]


def test_what_a_build_made_is_revoked_with_one_call(layers: Layers, save: Callable[..., Layer]) -> None:
    save("a", made_by="build_bad")
    good = save("b", made_by="build_good")
    save("c", made_by="build_bad")
    assert {layer.key.digest for layer in layers.remove_made_by("build_bad")} == {
        key_of("a").digest,
        key_of("c").digest,
    }
    assert layers.all() == [good]


def test_a_layer_that_was_replaced_is_not_mistaken_for_the_old_one(layers: Layers, save: Callable[..., Layer]) -> None:
    save("a", made_by="build_1")
    other = Layers(layers._root)
    assert other.find(key_of("a").digest)
    layers.remove(key_of("a").digest)
    assert other.find(key_of("a").digest) is None
    save("a", made_by="build_2")
    found = other.find(key_of("a").digest)
    assert found is not None
    assert found.made_by == "build_2"


@pytest.mark.parametrize("change", ["bit", "cut", "empty", "gone", "foreign"])
def test_a_damaged_record_makes_a_miss_and_is_swept_or_replaced(
    layers: Layers, save: Callable[..., Layer], change: str
) -> None:
    record = save("a").path.parent / "layer.json"
    data = record.read_bytes()
    damaged = {
        "bit": data.replace(b'"seconds":2.5', b'"seconds":3.5'),
        "cut": data[:-20],
        "empty": b"",
        "foreign": data,
    }
    record.unlink()
    if change == "foreign":
        save("b")
        damaged["foreign"] = (layers._root / hex_of(key_of("b").digest) / "layer.json").read_bytes()
    if change != "gone":
        record.write_bytes(damaged[change])
    assert layers.find(key_of("a").digest) is None
    assert key_of("a") not in [layer.key for layer in Layers(layers._root).all()]
    assert contents(save("a", "new")) == "new"
    (layers._root / hex_of(key_of("a").digest) / "layer.json").write_bytes(b"")
    layers.sweep()
    assert not (layers._root / hex_of(key_of("a").digest)).exists()


def test_a_layer_survives_the_next_start_of_the_machine_only_if_it_was_flushed(tmp_path: Path) -> None:
    before = Layers(tmp_path / "layers", boot="monday")
    for name in ("flushed", "lost"):
        (tmp_path / name).mkdir()
        before.commit(key_of(name), tmp_path / name, made_by="", seconds=0, scope="")
        if name == "flushed":
            assert before.settle() == 1
            assert before.settle() == 0
    after = Layers(tmp_path / "layers", boot="tuesday")
    assert [layer.key for layer in after.all()] == [key_of("flushed")]
    after.sweep()
    assert not (tmp_path / "layers" / hex_of(key_of("lost").digest)).exists()


@pytest.mark.parametrize("mark", [b"", b"\0" * 71, b"sha256:12"])
def test_a_mark_that_the_power_cut_off_is_none(tmp_path: Path, mark: bytes) -> None:
    before = Layers(tmp_path / "layers", boot="monday")
    (tmp_path / "made").mkdir()
    made = before.commit(key_of("a"), tmp_path / "made", made_by="", seconds=0, scope="")
    before.settle()
    (made.path.parent / "synced").write_bytes(mark)
    assert Layers(tmp_path / "layers", boot="tuesday").find(key_of("a").digest) is None
    assert before.settle() == 1


def test_a_process_killed_while_it_saves_leaves_nothing_that_is_visible(tmp_path: Path) -> None:
    program = """
import itertools, os, pathlib, sys
from headrace.layers.layers import Layers
from headrace.model.digest import digest_of
from headrace.model.plan import CacheKey
root = pathlib.Path(sys.argv[1])
layers = Layers(root / "layers")
for number in itertools.count():
    made = root / f"made-{os.getpid()}"
    made.mkdir()
    for name in range(30):
        (made / str(name)).write_bytes(b"x" * 100)
    key = CacheKey(digest=digest_of(f"{number % 50}".encode()), inputs=())
    layers.commit(key, made, made_by="b", seconds=0, scope="")
    print("saved", flush=True)
    if number % 3 == 0:
        layers.remove(key.digest)
"""
    layers = Layers(tmp_path / "layers")
    for round_ in range(8):
        with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(1 + round_ % 5):
                assert writer.stdout.readline() == b"saved\n"
            time.sleep(0.001 * round_)
            writer.kill()
        for layer in layers.all():
            assert len(list(layer.path.iterdir())) == layer.files == 30
        layers.sweep()
        assert leftovers(layers) == []
    assert layers.all()


def test_sweeping_leaves_alone_what_living_processes_make(layers: Layers) -> None:
    with layers.scratch() as directory:
        (directory / "f").write_text("x")
        Layers(layers._root).sweep()
        assert (directory / "f").read_text() == "x"
    assert leftovers(layers) == []


async def test_makers_of_the_same_layer_wait_for_their_turn(layers: Layers) -> None:
    inside = 0

    async def make() -> None:
        nonlocal inside
        async with layers.turn(key_of("a").digest):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(make() for _ in range(5)))


async def test_nobody_waits_for_a_turn_of_a_process_that_stands_still(
    layers: Layers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.layers.layers._BEAT_SECONDS", 0.05)
    monkeypatch.setattr("headrace.layers.layers._STILL_SECONDS", 0.5)
    digest = key_of("a").digest
    async with layers.turn(digest):  # shows that it goes on
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5), layers.turn(digest):
                pass
    with locked(layers._making / f"{digest.removeprefix('sha256:')}.lock") as held:
        assert held
        began = time.monotonic()
        async with asyncio.timeout(20), layers.turn(digest):
            assert time.monotonic() - began > 0.5


def test_finding_a_layer_again_takes_microseconds(layers: Layers, save: Callable[..., Layer]) -> None:
    digest = save("a").key.digest
    layers.find(digest)
    fastest = min(_seconds(lambda: layers.find(digest)) for _ in range(200))
    assert fastest < 200e-6  # measured: 5


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


async def test_what_is_cleared_away_before_it_is_pinned_is_had_again(
    layers: Layers, save: Callable[..., Layer]
) -> None:
    had: list[str] = []

    async def have() -> Layer:
        had.append("once")
        layer = save("a")
        if len(had) < 3:
            layers.remove(layer.key.digest)
        return layer

    async with AsyncExitStack() as pins:
        layer = await pinned(layers, have, pins)
        assert contents(layer) == "x"
        assert layers.prune(0) == []
    assert layers.prune(0) == [layer]
    assert len(had) == 3


async def test_what_is_cleared_away_again_and_again_is_not_had_for_ever(
    layers: Layers, save: Callable[..., Layer]
) -> None:
    async def have() -> Layer:
        layer = save("a")
        layers.remove(layer.key.digest)
        return layer

    async with AsyncExitStack() as pins:
        with pytest.raises(NotFound):
            await pinned(layers, have, pins)
