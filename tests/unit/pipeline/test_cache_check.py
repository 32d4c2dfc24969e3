"""What a disk changed behind everybody's back is found, dropped, and made again."""

from pathlib import Path

from tests.unit.pipeline.conftest import Shop

from headrace.layers.layers import Layer
from headrace.pipeline.cache_check import CacheCheck, check_caches


def kinds(check: CacheCheck) -> set[str]:
    return {one.kind for one in check.damaged}


def a_file(below: Path) -> Path:
    return next(path for path in sorted(below.rglob("*")) if path.is_file() and not path.is_symlink())


def spoil(shop: Shop, layer: Layer) -> None:
    """Other bytes of the same number, once the layer is known to be on the disk."""
    shop.services.layers.settle()
    changed = a_file(layer.path)
    changed.chmod(0o644)
    changed.write_text("evil")


async def test_whole_caches_stay_as_they_are(shop: Shop) -> None:
    made = await shop.build()
    check = await check_caches(shop.services)
    assert check.damaged == ()
    layers = (shop.services.layers, shop.services.trees, shop.services.tools)
    assert check.checked > sum(len(cache.all()) for cache in layers) >= 3
    assert (await shop.build()).id == made.id


async def test_a_layer_whose_bytes_changed_is_dropped_and_made_again(shop: Shop) -> None:
    made = await shop.build()
    (layer,) = [one for one in shop.services.layers.all() if a_file(one.path).name == "index.js"]
    spoil(shop, layer)
    check = await check_caches(shop.services)
    assert [(one.digest, one.kind) for one in check.damaged] == [(layer.key.digest, "dependencies")]
    assert check.damaged[0].why
    assert shop.services.layers.find(layer.key.digest) is None
    again = await shop.build(force=True)
    assert (again.status, again.artifact) == ("succeeded", made.artifact)
    assert (await check_caches(shop.services)).damaged == ()


async def test_a_layer_that_somebody_uses_is_checked_too(shop: Shop) -> None:
    await shop.build()
    (layer,) = shop.services.layers.all()
    spoil(shop, layer)
    with shop.services.layers.pin(layer.key.digest):
        assert kinds(await check_caches(shop.services)) == {"dependencies"}


async def test_a_flipped_bit_of_a_blob_is_found(shop: Shop) -> None:
    shop.write("big.txt", "x" * 300_000)
    await shop.build()
    blobs = [path for path in (shop.services.settings.data_dir / "blobs").rglob("*") if path.is_file()]
    largest = max(blobs, key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.chmod(0o644)
    largest.write_bytes(data)
    check = await check_caches(shop.services)
    assert kinds(check) == {"blob"}
    assert await shop.services.store.missing([one.digest for one in check.damaged]) == {
        one.digest for one in check.damaged
    }
    assert (await check_caches(shop.services)).damaged == ()
