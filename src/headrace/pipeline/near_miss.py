"""A near miss: the layer of a build whose lock file was nearly the same, to begin an install with."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack

from headrace.errors import HeadraceError, NotFound
from headrace.layers.layers import Layer
from headrace.model.digest import Digest
from headrace.model.plan import CacheKey
from headrace.pipeline.context import Context
from headrace.plan.near_install import is_near, lock_digest
from headrace.records import results

#: So many of the latest layers are compared.
_COMPARED = 8
#: With less in common than this, a clean install is as quick.
_IN_COMMON = 0.5


async def near_layer(ctx: Context, keys: Sequence[CacheKey], pins: AsyncExitStack) -> Layer | None:
    """
    The layer with the most of this lock file, pinned as long as `pins` is open. `keys` are those of the layer in each trust scope
    that the build may read: a layer of another scope is near to none of them. None when there is
    none that is near. An attempt that takes the build over begins with what the first one began with.
    """
    noted = ctx.scratch / "near"
    if noted.exists():
        digest = noted.read_text() or None
    else:
        digest = await _closest(ctx, keys)
        noted.parent.mkdir(parents=True, exist_ok=True)
        noted.write_text(digest or "")
    if digest is None:
        return None
    return pins.enter_context(ctx.services.layers.pin(digest))


async def _closest(ctx: Context, keys: Sequence[CacheKey]) -> Digest | None:
    layers = await asyncio.to_thread(ctx.services.layers.all)
    near = [layer for layer in layers if any(is_near(key, layer.key) for key in keys)]
    near.sort(key=lambda layer: layer.used_at, reverse=True)
    async with ctx.services.db.read() as c:
        last = await results.last_inputs(c, ctx.project.id, "dependencies")
    # The project's own last layer is the likeliest.
    near.sort(key=lambda layer: last is None or layer.key.digest != last.digest)
    mine = await _lines(ctx, keys[0])
    if mine is None:
        return None
    best: tuple[float, Digest] | None = None
    for layer in near[:_COMPARED]:
        theirs = await _lines(ctx, layer.key)
        common = _in_common(mine, theirs) if theirs is not None else 0
        if common >= _IN_COMMON and (best is None or common > best[0]):
            best = common, layer.key.digest
    return best[1] if best else None


async def _lines(ctx: Context, key: CacheKey) -> frozenset[bytes] | None:
    """The different lines of a key's lock file; None when it is no longer stored."""
    digest = lock_digest(key)
    if digest is None:
        return None
    try:
        return frozenset((await ctx.services.store.read(digest)).splitlines())
    except (NotFound, HeadraceError):
        return None


def _in_common(mine: frozenset[bytes], theirs: Iterable[bytes]) -> float:
    theirs = frozenset(theirs)
    return 2 * len(mine & theirs) / max(1, len(mine) + len(theirs))
