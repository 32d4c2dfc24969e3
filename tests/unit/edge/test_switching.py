"""A label that is pointed elsewhere: seen at once, and never a mix of two versions."""

import asyncio
from typing import TYPE_CHECKING

from headrace.edge.edge import Target

if TYPE_CHECKING:
    from tests.unit.edge.conftest import Visitor

OLD = {"index.html": b"old", "assets/index-BF8QNONU.js": b"old script", "app.js": b"old app", "gone.html": b"gone"}
NEW = {"index.html": b"new", "assets/index-DiwrgTda.js": b"new script", "app.js": b"new app"}


async def test_a_switch_that_is_told_is_seen_by_the_next_request(visitor: "Visitor") -> None:
    await visitor.publish(OLD)
    assert (await visitor.get("/")).body == b"old"
    await visitor.publish(NEW, deployment="dpl_2")
    reply = await visitor.get("/")
    assert (reply.body, reply.headers["x-headrace-deployment"]) == (b"new", "dpl_2")


async def test_a_switch_by_another_process_is_seen_after_a_short_while(make_visitor: "type[Visitor]") -> None:
    visitor = make_visitor(life_seconds=0.05)
    await visitor.publish(OLD)
    await visitor.get("/")
    artifact = await visitor.publish(NEW, label="elsewhere")
    visitor.targets["shop"] = Target(deployment_id="dpl_2", artifact=artifact)
    await asyncio.sleep(0.06)
    assert (await visitor.get("/")).body == b"new"


async def test_one_look_serves_everybody_until_it_is_too_old(visitor: "Visitor") -> None:
    await visitor.publish(OLD)
    await asyncio.gather(*(visitor.get("/") for _ in range(20)))
    await visitor.get("/app.js")
    assert visitor.looked == 1


async def test_a_look_that_began_before_the_switch_does_not_count_after_it(visitor: "Visitor") -> None:
    await visitor.publish(OLD)
    slow, go_on = visitor._resolve, asyncio.Event()

    async def resolve(label: str) -> Target | None:
        target = await slow(label)
        if not go_on.is_set():
            await go_on.wait()
        return target

    visitor.edge = type(visitor.edge)(visitor.store, resolve, visitor.edge._fallback)
    early = asyncio.create_task(visitor.get("/"))
    await asyncio.sleep(0.01)
    await visitor.publish(NEW, deployment="dpl_2")
    go_on.set()
    assert (await visitor.get("/")).body == b"new"
    assert (await early).body == b"new"


async def test_a_page_of_the_old_version_still_finds_its_own_hashed_files(visitor: "Visitor") -> None:
    await visitor.publish(OLD)
    await visitor.get("/")
    await visitor.publish(NEW, deployment="dpl_2")
    await visitor.get("/")
    reply = await visitor.get("/assets/index-BF8QNONU.js")
    assert (reply.status, reply.body, reply.headers["x-headrace-deployment"]) == (200, b"old script", "dpl_1")


async def test_nothing_else_of_the_old_version_is_served(visitor: "Visitor") -> None:
    await visitor.publish(OLD)
    await visitor.get("/gone")
    await visitor.publish(NEW, deployment="dpl_2")
    assert (await visitor.get("/gone")).status == 404
    assert (await visitor.get("/app.js")).body == b"new app"


async def test_a_label_that_is_taken_away_shows_nothing_any_more(visitor: "Visitor") -> None:
    await visitor.publish(OLD)
    await visitor.get("/")
    visitor.targets.clear()
    visitor.edge.invalidate("shop")
    assert (await visitor.get("/")).status == 404
    assert (await visitor.get("/assets/index-BF8QNONU.js")).status == 404


async def test_the_short_way_sees_a_switch_too(visitor: "Visitor") -> None:
    await visitor.publish(OLD)
    await visitor.get("/app.js")
    hot = visitor.edge.hot(b"shop.localhost:7700", b"/app.js", None)
    assert hot is not None
    assert hot[1] == b"old app"
    await visitor.publish(NEW, deployment="dpl_2")
    assert visitor.edge.hot(b"shop.localhost:7700", b"/app.js", None) is None


async def test_a_site_in_memory_stays_up_while_addresses_cannot_be_looked_up(make_visitor: "type[Visitor]") -> None:
    visitor = make_visitor(life_seconds=0)
    await visitor.publish(OLD)
    await visitor.get("/")

    async def broken(label: str) -> Target | None:
        raise OSError(label)

    visitor.edge._sites._resolve = broken
    assert (await visitor.get("/")).body == b"old"
    reply = await visitor.get("/", host="other.localhost")
    assert (reply.status, reply.json()["code"]) == (503, "site.unavailable")
