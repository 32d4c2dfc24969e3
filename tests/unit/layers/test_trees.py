"""A stored tree is written out once and is a layer from then on."""

import asyncio
import os
from pathlib import Path

import pytest

from headrace.errors import CorruptBlob, NotFound
from headrace.layers.layers import Layers
from headrace.layers.trees import ensure_tree
from headrace.model.digest import Digest, digest_of
from headrace.store.memory import MemoryStore
from headrace.tree import snapshot, store_tree


async def stored_project(store: MemoryStore, root: Path) -> Digest:
    (root / "src").mkdir(parents=True)
    (root / "src/main.ts").write_text("console.log(1)\n")
    (root / "package.json").write_text("{}")
    return await store_tree(store, root, snapshot(root))


async def test_a_tree_is_written_out_once_also_when_many_ask_at_once(tmp_path: Path) -> None:
    store, trees = MemoryStore(), Layers(tmp_path / "trees")
    digest = await stored_project(store, tmp_path / "in")
    layers = await asyncio.gather(*(ensure_tree(trees, store, digest) for _ in range(8)))
    assert len({layer.created_at for layer in layers}) == 1
    assert snapshot(layers[0].path) == snapshot(tmp_path / "in")
    assert layers[0].key.digest == digest


async def test_using_a_tree_again_counts_as_a_use(tmp_path: Path) -> None:
    store, trees = MemoryStore(), Layers(tmp_path / "trees")
    layer = await ensure_tree(trees, store, await stored_project(store, tmp_path / "in"))
    os.utime(layer.path.parent / "lock", (1, 1))
    await ensure_tree(trees, store, layer.key.digest)
    found = trees.find(layer.key.digest)
    assert found is not None
    assert found.used_at > "2020"


async def test_a_tree_that_lacks_a_file_leaves_nothing_behind(tmp_path: Path) -> None:
    store, trees = MemoryStore(), Layers(tmp_path / "trees")
    digest = await stored_project(store, tmp_path / "in")
    await store.delete(digest_of(b"{}"))
    with pytest.raises(NotFound):
        await ensure_tree(trees, store, digest)
    store._blobs[digest_of(b"{}")] = b"[]"
    with pytest.raises(CorruptBlob):
        await ensure_tree(trees, store, digest)
    assert trees.all() == []
    await store.put(b"{}")
    assert (await ensure_tree(trees, store, digest)).files == 2
