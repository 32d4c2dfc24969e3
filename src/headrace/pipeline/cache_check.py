"""Whether what the caches and the store hold still has the bytes that it is named by. What has not is dropped: a miss is harmless."""

import asyncio
import hashlib
from contextlib import suppress

from headrace.errors import CorruptBlob, NotFound
from headrace.layers.layers import Layers
from headrace.model.digest import Digest
from headrace.model.value import Value
from headrace.pipeline.services import Services
from headrace.store.base import Store


class Damaged(Value):
    """An entry that was dropped."""

    digest: Digest
    #: `dependencies`, `tree`, `tool` or `blob`.
    kind: str
    why: str


class CacheCheck(Value):
    #: Entries that were looked at.
    checked: int
    damaged: tuple[Damaged, ...] = ()


async def check_caches(services: Services) -> CacheCheck:
    """Read everything, compare, and drop what is damaged. What is made or removed meanwhile is left out."""
    checked, damaged = 0, list[Damaged]()
    for kind, layers in (("dependencies", services.layers), ("tree", services.trees), ("tool", services.tools)):
        count, bad = await asyncio.to_thread(_check_layers, kind, layers)
        checked, damaged = checked + count, damaged + bad
    async for digest, _ in services.store.all():
        checked += 1
        if why := await _wrong_with_blob(services.store, digest):
            damaged.append(Damaged(digest=digest, kind="blob", why=why))
    return CacheCheck(checked=checked, damaged=tuple(damaged))


def _check_layers(kind: str, layers: Layers) -> tuple[int, list[Damaged]]:
    damaged, found = [], layers.all()
    for layer in found:
        digest = layer.key.digest
        with suppress(NotFound), layers.pin(digest):
            if why := layers.damaged(layer):
                layers.remove(digest)
                damaged.append(Damaged(digest=digest, kind=kind, why=why))
    return len(found), damaged


async def _wrong_with_blob(store: Store, digest: Digest) -> str | None:
    seen = hashlib.sha256()
    with suppress(NotFound):
        try:
            async for piece in store.stream(digest):
                seen.update(piece)
        except CorruptBlob as exc:
            return exc.message
        if f"sha256:{seen.hexdigest()}" == digest:
            return None
        with suppress(CorruptBlob):
            await store.read(digest)  # drops it
        return "its bytes have another digest"
    return None
