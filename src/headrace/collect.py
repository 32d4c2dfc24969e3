"""
Garbage collection: keeps the caches within their budget and removes blobs that nothing names.

What a version, a deployment or a remembered result needs stays, whatever the budget: rollback targets are deployments.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

import structlog

from headrace.errors import CorruptBlob, HeadraceError, NotFound
from headrace.layers.layers import Layer, Layers
from headrace.layers.packages import Package
from headrace.model.artifact import Manifest
from headrace.model.digest import Digest
from headrace.model.value import Value
from headrace.pipeline.kept_pages import KeptPages
from headrace.pipeline.known_codings import KnownCodings
from headrace.pipeline.services import Services
from headrace.pipeline.shared_packages import packages_of
from headrace.records import artifacts, builds, versions
from headrace.store.base import Store
from headrace.tree import load_tree

_log = structlog.get_logger(__name__)


#: How long a collection waits for the next.
EVERY_SECONDS = 1800.0
#: A log is compressed this long after its last line.
RETIRE_SECONDS = 3600.0
#: A blob is put before the row that names it is written.
GRACE_SECONDS = 3600.0


class Collected(Value):
    """How many blobs were removed, and their bytes."""

    blobs: int = 0
    bytes: int = 0


async def keep_collecting(services: Services) -> None:
    """Collect now and again until cancelled. What fails is tried again the next time."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            removed = await prune(services)
            for source in services.sources.values():
                await source.tidy()
            await retire_logs(services)
            collected = await collect_blobs(services)
            for layers in (services.layers, services.trees, services.tools):
                await asyncio.to_thread(layers.settle)
        except (HeadraceError, OSError) as exc:
            _log.warning("collection will be tried again", error=str(exc))
        else:
            _log.info(
                "collected",
                layers=len(removed.layers),
                packages=removed.packages,
                blobs=collected.blobs,
                bytes=collected.bytes,
            )


async def retire_logs(services: Services) -> None:
    """Compress the logs of builds that ended a while ago: their readers have gone."""
    directory = services.settings.data_dir / "logs"
    old = time.time() - RETIRE_SECONDS
    for path in await asyncio.to_thread(lambda: list(directory.glob("*.ndjson"))):
        if path.stat().st_mtime < old and await services.events.closed(path.stem):
            await services.events.retire(path.stem)


class Pruned(Value):
    layers: tuple[Digest, ...] = ()
    #: Packages that installs shared.
    packages: int = 0
    bytes: int = 0


async def prune(services: Services, budget: int | None = None) -> Pruned:
    """
    Remove the least recently used layers of all kinds, and packages that installs share, until they fit into `budget` bytes (the
    setting's by default). What a build uses now stays.
    """
    budget = services.settings.cache_bytes if budget is None else budget
    kinds = (services.layers, services.trees, services.tools)
    return await asyncio.to_thread(_prune, kinds, packages_of(services).all(), budget)


def _prune(kinds: Iterable[Layers], packages: Sequence[Package], budget: int) -> Pruned:
    entries: list[tuple[Layer, Layers] | tuple[Package, None]] = [
        (layer, kind) for kind in kinds for layer in kind.all()
    ]
    entries += [(package, None) for package in packages]
    total = sum(entry.bytes for entry, _ in entries)
    layers, count, freed = [], 0, 0
    for entry, kind in sorted(entries, key=lambda one: one[0].used_at):
        if total - freed <= budget:
            break
        if isinstance(entry, Package):
            entry.path.unlink(missing_ok=True)
            count += 1
        elif kind is None or not _drop(kind, entry):
            continue
        else:
            layers.append(entry.key.digest)
        freed += entry.bytes
    return Pruned(layers=tuple(layers), packages=count, bytes=freed)


def _drop(kind: Layers, layer: Layer) -> bool:
    others = [other.key.digest for other in kind.all() if other.key.digest != layer.key.digest]
    return bool(kind.prune(0, keep=others))


async def collect_blobs(services: Services) -> Collected:
    """Remove blobs that no version, plan or artifact names. What is put while this runs stays."""
    began = time.time()
    live = await _live(services)
    count = size = 0
    async for digest, length in services.store.all():
        if digest not in live:
            await services.store.delete(digest, unless_put_since=began - GRACE_SECONDS)
            count, size = count + 1, size + length
    KnownCodings(services.settings.data_dir / "codings").forget_all_but(live)
    return Collected(blobs=count, bytes=size)


async def _live(services: Services) -> set[Digest]:
    async with services.db.read() as c:
        trees = await versions.all_trees(c)
        plans = await builds.all_plans(c)
        manifests = await artifacts.all_digests(c)
    # What sleeping previews show lives as long as their projects.
    manifests |= set(
        await asyncio.to_thread(lambda: list(KeptPages(services.settings.data_dir / "previews").manifests()))
    )
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
