"""Trust tiers: an untrusted build reads what trusted ones made, and writes nothing that they read."""

import pytest
from tests.unit.pipeline.conftest import Shop

from headrace.errors import InvalidInput


async def test_what_an_untrusted_build_installed_is_no_trusted_builds(shop: Shop) -> None:
    shop.installs = "poison"
    stranger = await shop.build(trust="untrusted")
    assert "poison" in await shop.page(stranger)

    shop.installs = "good"
    build = await shop.build()
    assert build.id != stranger.id
    assert "good" in await shop.page(build)
    for cache in ("result", "dependencies"):
        decision = await shop.decided(build, cache)
        assert (decision.hit, decision.begun_with) == (False, None)


async def test_an_untrusted_build_is_given_what_a_trusted_one_made(shop: Shop) -> None:
    made = await shop.build()
    shop.installs = "poison"
    assert (await shop.build(trust="untrusted")).id == made.id

    shop.write("other.txt", "a stranger's change")
    stranger = await shop.build(trust="untrusted")
    decision = await shop.decided(stranger, "dependencies")
    assert (decision.hit, decision.made_by, decision.trust) == (True, made.id, "trusted")
    assert "good" in await shop.page(stranger)


async def test_untrusted_builds_share_what_they_make_among_themselves(shop: Shop) -> None:
    first = await shop.build(trust="untrusted")
    assert (await shop.build(trust="untrusted")).id == first.id
    shop.write("other.txt", "another change")
    second = await shop.build(trust="untrusted")
    decision = await shop.decided(second, "dependencies")
    assert (decision.hit, decision.made_by, decision.trust) == (True, first.id, "untrusted")
    assert "an untrusted build" in decision.explanation


async def test_an_install_begins_with_layers_of_its_own_tier_or_a_trusted_one(shop: Shop) -> None:
    stranger = await shop.build(trust="untrusted")
    shop.lock("2.0.0")
    build = await shop.build()
    assert (await shop.decided(build, "dependencies")).begun_with is None
    shop.lock("3.0.0")
    later = await shop.decided(await shop.build(trust="untrusted"), "dependencies")
    nearest = {(await shop.decided(one, "dependencies")).key.digest for one in (stranger, build)}
    assert later.begun_with in nearest
    shop.lock("4.0.0")
    trusted = await shop.decided(await shop.build(), "dependencies")
    assert trusted.begun_with == (await shop.decided(build, "dependencies")).key.digest


async def test_an_untrusted_build_does_not_move_the_projects_address(shop: Shop) -> None:
    build = await shop.build()
    shop.write("other.txt", "a stranger's change")
    stranger = await shop.build(trust="untrusted")
    assert stranger.deployment_id is not None
    assert await shop.active(stranger) == build.id


async def test_a_trusted_miss_is_not_explained_with_a_strangers_build(shop: Shop) -> None:
    await shop.build()
    shop.lock("2.0.0")
    await shop.build(trust="untrusted")
    shop.lock("1.0.0")
    shop.write("other.txt", "a change")
    assert (await shop.decided(await shop.build(), "result")).differs == "files"


async def test_untrusted_code_is_not_run_without_isolation(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop.executor, "isolated", False, raising=False)
    with pytest.raises(InvalidInput) as refused:
        await shop.build(trust="untrusted")
    assert refused.value.exact_code == "executor.no_isolation"
