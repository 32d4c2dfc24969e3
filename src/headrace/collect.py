"""
Garbage collection: keeps the caches within their budget and removes blobs that nothing names.

What a version, a deployment or a remembered result needs stays, whatever the budget: rollback targets are deployments.
"""

import time
from collections.abc import Iterable
from contextlib import suppress

import structlog

from headrace.errors import CorruptBlob, NotFound
from headrace.layers.layers import Layer, Layers
from headrace.model.artifact import Manifest
from headrace.model.digest import Digest
from headrace.model.value import Value
from headrace.pipeline.services import Services
from headrace.records import artifacts, builds, versions
from headrace.store.base import Store
from headrace.tree import load_tree

_log = structlog.get_logger(__name__)


class Collected(Value):
    """What a collection removed."""

    layers: int = 0
    layer_bytes: int = 0
    blobs: int = 0
    blob_bytes: int = 0


async def prune(services: Services, budget: int | None = None) -> Collected:
    """Remove the least recently used layers of all kinds until they fit into `budget` bytes (the setting's by default)."""
    budget = services.settings.cache_bytes if budget is None else budget
    kinds = (services.layers, services.trees, services.tools)
    entries: list[tuple[Layers, Layer]] = [(kind, layer) for kind in kinds for layer in kind.all()]
    total = sum(layer.bytes for _, layer in entries)
    removed = []
    for kind, layer in sorted(entries, key=lambda entry: entry[1].used_at):
        if total <= budget:
            break
        if kind.remove(layer.key.digest):
            total -= layer.bytes
            removed.append(layer)
    return Collected(layers=len(removed), layer_bytes=sum(layer.bytes for layer in removed))


async def collect_blobs(services: Services) -> Collected:
    """Remove blobs that no version, plan or artifact names. What is put while this runs stays."""
    began = time.time()
    live = await _live(services)
    count = size = 0
    async for digest, length in services.store.all():
        if digest not in live:
            await services.store.delete(digest, unless_put_since=began - GRACE_SECONDS)
            count, size = count + 1, size + length
    return Collected(blobs=count, blob_bytes=size)


#: A blob is put before the row that names it is written.
GRACE_SECONDS = 3600.0


async def _live(services: Services) -> set[Digest]:
    async with services.db.read() as c:
        trees = await versions.all_trees(c)
        plans = await builds.all_plans(c)
        manifests = await artifacts.all_digests(c)
    live: set[Digest] = {*trees, *plans, *manifests}
    for digest in trees:
        live.update(await _of_tree(services.store, digest))
    for digest in manifests:
        live.update(await _of_manifest(services.store, digest))
    return live


async def _of_tree(store: Store, digest: Digest) -> Iterable[Digest]:
    with suppress(NotFound, CorruptBlob):
        return [file.digest for file in (await load_tree(store, digest)).files if file.digest]
    return []


async def _of_manifest(store: Store, digest: Digest) -> Iterable[Digest]:
    with suppress(NotFound, CorruptBlob):
        manifest = Manifest.model_validate_json(await store.read(digest))
        return [d for file in manifest.files for d in (file.digest, *file.encodings.values())]
    return []
