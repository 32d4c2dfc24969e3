"""Source trees, written out once and then mounted like any other layer."""

import asyncio
import time
from contextlib import AsyncExitStack
from functools import partial

from headrace.layers.layers import Layer, Layers, pinned
from headrace.model.digest import Digest
from headrace.model.plan import CacheKey, KeyInput
from headrace.store.base import Store
from headrace.tree import load_tree, write_tree


async def ensure_tree(trees: Layers, store: Store, digest: Digest) -> Layer:
    """
    The layer that holds the files of a stored tree; its key is the tree's digest. Raises NotFound or CorruptBlob when the tree
    or a file of it can't be had, InvalidInput for a tree that could leave its root.
    """
    if layer := trees.find(digest):
        trees.touch(digest)
        return layer
    async with trees.turn(digest):
        return trees.find(digest) or await _write_out(trees, store, digest)


async def pinned_tree(trees: Layers, store: Store, digest: Digest, pins: AsyncExitStack) -> Layer:
    """What `ensure_tree` finds or writes, which stays until `pins` is closed. Raises what that does."""
    return await pinned(trees, partial(ensure_tree, trees, store, digest), pins)


async def _write_out(trees: Layers, store: Store, digest: Digest) -> Layer:
    started = time.monotonic()
    tree = await load_tree(store, digest)
    key = CacheKey(digest=digest, inputs=(KeyInput(name="tree", digest=digest),))
    with trees.scratch() as directory:
        await write_tree(store, tree, directory)
        return await asyncio.to_thread(
            trees.commit, key, directory, made_by="", seconds=round(time.monotonic() - started, 3), scope=""
        )
