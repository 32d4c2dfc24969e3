"""The network ledger of builds, and the warning for a host that none of them reached before."""

from tests.unit.pipeline.conftest import Shop

from headrace.model.build import Build, NetworkUse
from headrace.model.event import EgressNewHost
from headrace.model.ids import new_id
from headrace.model.plan import StepId
from headrace.records import builds


async def installed(shop: Shop, lock: str, *reaches: str, trust: str = "trusted") -> Build:
    """A build whose install reaches these hosts."""
    shop.lock(lock)
    shop.reaches = reaches
    return await shop.build(trust=trust)


async def new_hosts(shop: Shop, build: Build) -> list[tuple[str, str]]:
    found = await shop.events(build, "egress.new_host")
    return [(event.host, event.before) for event in found if isinstance(event, EgressNewHost)]


async def test_what_each_step_reached_is_known_of_the_build(shop: Shop) -> None:
    build = await installed(shop, "1.0.0", "registry.example", "cdn.example")
    seen = [(use.step, use.host, use.port, use.connections, use.bytes_down, use.new) for use in build.network]
    assert seen == [
        ("dependencies", "registry.example", 443, 1, 7, False),
        ("dependencies", "cdn.example", 443, 1, 7, False),
    ]
    assert len(await shop.events(build, "egress.used")) == 2


async def test_a_host_that_the_last_build_did_not_reach_is_a_warning(shop: Shop) -> None:
    first = await installed(shop, "1.0.0", "registry.example")
    assert await new_hosts(shop, first) == []
    shop.write("other.txt", "nothing to install")
    await shop.build()
    second = await installed(shop, "2.0.0", "registry.example", "evil.example")
    assert await new_hosts(shop, second) == [("evil.example", first.id)]
    assert [(use.host, use.new) for use in second.network] == [("registry.example", False), ("evil.example", True)]
    third = await installed(shop, "3.0.0", "registry.example", "evil.example")
    assert await new_hosts(shop, third) == []


async def test_any_number_of_builds_that_only_fetched_their_source_hide_no_host(shop: Shop) -> None:
    first = await installed(shop, "1.0.0", "registry.example")
    at = "2026-11-20T12:00:00.000Z"
    use = NetworkUse(step=StepId.SOURCE, host="git.example", port=443, connections=1, first_at=at, last_at=at)
    async with shop.services.db.write() as c:
        for _ in range(60):
            later = first.but(id=new_id("build"), network=(use,), result_key=None, artifact=None)
            await builds.save(c, later)
    build = await installed(shop, "2.0.0", "evil.example")
    assert await new_hosts(shop, build) == [("evil.example", first.id)]


async def test_what_a_stranger_reached_makes_no_host_known(shop: Shop) -> None:
    first = await installed(shop, "1.0.0", "registry.example")
    stranger = await installed(shop, "2.0.0", "registry.example", "evil.example", trust="untrusted")
    assert await new_hosts(shop, stranger) == [("evil.example", first.id)]
    build = await installed(shop, "3.0.0", "registry.example", "evil.example")
    assert await new_hosts(shop, build) == [("evil.example", first.id)]
