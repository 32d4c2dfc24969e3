"""What every event log promises, over each of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import orjson
import pytest

from headrace.errors import Conflict
from headrace.events.base import EventLog
from headrace.events.file import FileEventLog
from headrace.events.memory import MemoryEventLog
from headrace.model.build import BuildStatus
from headrace.model.event import BuildCompleted, BuildQueued, Event, Log
from headrace.model.plan import StepId

BUILD = "build_01m7xxxxxxxxxxxxxxxxxxxxxx"


@pytest.fixture(params=["file", "memory"])
def events(request: pytest.FixtureRequest, tmp_path: Path) -> EventLog:
    make: dict[str, Callable[[], EventLog]] = {
        "file": lambda: FileEventLog(tmp_path / "logs"),
        "memory": MemoryEventLog,
    }
    return make[request.param]()


def line(text: str) -> Log:
    return Log(build_id=BUILD, step=StepId.BUILD, stream="stdout", line=text)


def end() -> BuildCompleted:
    return BuildCompleted(build_id=BUILD, status=BuildStatus.SUCCEEDED, seconds=1.0)


async def collected(pieces: AsyncIterator[bytes]) -> list[int]:
    data = b"".join([piece async for piece in pieces])
    return [orjson.loads(record)["seq"] for record in data.splitlines()]


async def test_appended_events_come_back_with_consecutive_numbers_and_a_time(events: EventLog) -> None:
    stored = await events.append(BUILD, [BuildQueued(build_id=BUILD), line("one")])
    stored = [*stored, *await events.append(BUILD, [line("two")])]
    assert [event.seq for event in stored] == [1, 2, 3]
    assert all(len(event.ts) == 24 and event.ts.endswith("Z") for event in stored)
    assert list(await events.read(BUILD)) == stored


async def test_reading_begins_after_a_number_and_stops_at_the_limit(events: EventLog) -> None:
    await events.append(BUILD, [line(str(number)) for number in range(1, 21)])
    assert [event.seq for event in await events.read(BUILD, after=4, limit=3)] == [5, 6, 7]
    assert await events.read(BUILD, after=20) == []
    assert await collected(events.read_bytes(BUILD, after=17)) == [18, 19, 20]


async def test_what_commands_printed_can_be_left_out(events: EventLog) -> None:
    marker = ',"type":"build.log",'
    told: list[Event] = [line("one"), BuildQueued(build_id=BUILD), line(marker), line("two")]
    await events.append(BUILD, told)
    await events.append(BUILD, [end().model_copy(update={"url": marker}), line("three")])
    assert [event.seq for event in await events.read(BUILD, lines=False)] == [2, 5]
    assert [event.seq for event in await events.read(BUILD, after=2, limit=1, lines=False)] == [5]
    assert await events.read(BUILD, after=5, lines=False) == []


async def test_an_unknown_log_is_empty(events: EventLog) -> None:
    assert await events.read("build_unknown") == []
    assert await events.last("build_unknown") == 0
    assert not await events.closed("build_unknown")
    assert await collected(events.read_bytes("build_unknown")) == []


async def test_a_closed_log_takes_no_more_events(events: EventLog) -> None:
    await events.append(BUILD, [end()], close=True)
    assert await events.closed(BUILD)
    with pytest.raises(Conflict) as refused:
        await events.append(BUILD, [line("late")])
    assert refused.value.exact_code == "log.closed"
    assert await events.last(BUILD) == 1


async def test_a_follower_gets_what_comes_later_and_ends_with_the_log(events: EventLog) -> None:
    await events.append(BUILD, [line("early")])
    following = asyncio.create_task(collected(events.read_bytes(BUILD, follow=True)))
    for number in range(5):
        await asyncio.sleep(0.002)
        await events.append(BUILD, [line(f"line {number}")])
    await events.append(BUILD, [end()], close=True)
    assert await asyncio.wait_for(following, 30) == list(range(1, 8))


async def test_a_follower_may_come_before_the_first_event(events: EventLog) -> None:
    following = asyncio.create_task(collected(events.read_bytes(BUILD, follow=True)))
    await asyncio.sleep(0.01)
    await events.append(BUILD, [end()], close=True)
    assert await asyncio.wait_for(following, 30) == [1]


async def test_following_a_closed_log_ends_at_once(events: EventLog) -> None:
    await events.append(BUILD, [line("all"), end()], close=True)
    assert await asyncio.wait_for(collected(events.read_bytes(BUILD, after=1, follow=True)), 30) == [2]
    assert await asyncio.wait_for(collected(events.read_bytes(BUILD, after=2, follow=True)), 30) == []


async def test_a_follower_that_leaves_in_the_middle_disturbs_nobody(events: EventLog) -> None:
    await events.append(BUILD, [line("one")])
    staying = asyncio.create_task(collected(events.read_bytes(BUILD, follow=True)))
    leaving = asyncio.create_task(collected(events.read_bytes(BUILD, follow=True)))
    await asyncio.sleep(0.01)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await events.append(BUILD, [end()], close=True)
    assert await asyncio.wait_for(staying, 30) == [1, 2]


async def test_many_followers_each_get_everything(events: EventLog) -> None:
    following = [asyncio.create_task(collected(events.read_bytes(BUILD, follow=True))) for _ in range(100)]
    for _ in range(20):
        await events.append(BUILD, [line("x" * 1000) for _ in range(50)])
    await events.append(BUILD, [end()], close=True)
    everything = list(range(1, 1002))
    assert all(got == everything for got in await asyncio.wait_for(asyncio.gather(*following), 20))


async def test_a_retired_log_reads_like_before(events: EventLog) -> None:
    await events.append(BUILD, [line(f"line {number} {'x' * 3000}") for number in range(1, 2001)])
    await events.append(BUILD, [end()], close=True)
    before = [await collected(events.read_bytes(BUILD, after=after)) for after in (0, 1, 777, 2000, 2001)]
    typed: list[Event] = list(await events.read(BUILD, after=1500, limit=10))
    await events.retire(BUILD)
    await events.retire(BUILD)
    assert [await collected(events.read_bytes(BUILD, after=after)) for after in (0, 1, 777, 2000, 2001)] == before
    assert list(await events.read(BUILD, after=1500, limit=10)) == typed
    assert await collected(events.read_bytes(BUILD, after=2000, follow=True)) == [2001]
    assert (await events.last(BUILD), await events.closed(BUILD)) == (2001, True)
    with pytest.raises(Conflict):
        await events.append(BUILD, [line("late")])


async def test_an_open_log_is_not_retired(events: EventLog) -> None:
    await events.append(BUILD, [line("one")])
    await events.retire(BUILD)
    await events.append(BUILD, [line("two")])
    assert await events.last(BUILD) == 2


async def test_a_reader_in_the_middle_goes_on_while_the_log_is_retired(events: EventLog) -> None:
    await events.append(BUILD, [line("x" * 3000) for _ in range(500)])
    await events.append(BUILD, [end()], close=True)
    pieces = events.read_bytes(BUILD, follow=True)
    got = await anext(pieces)
    await events.retire(BUILD)
    async for piece in pieces:
        got += piece
    assert [orjson.loads(record)["seq"] for record in got.splitlines()] == list(range(1, 502))


async def test_a_deleted_log_is_unknown_and_its_followers_end(events: EventLog) -> None:
    await events.append(BUILD, [line("one")])
    pieces = events.read_bytes(BUILD, follow=True)
    assert orjson.loads(await anext(pieces))["seq"] == 1
    following = asyncio.create_task(collected(pieces))
    await asyncio.sleep(0.01)
    await events.delete(BUILD)
    await events.delete(BUILD)
    assert await asyncio.wait_for(following, 30) == []
    assert await events.last(BUILD) == 0


async def test_unset_optionals_are_left_out_and_unprintable_text_is_not_refused(events: EventLog) -> None:
    await events.append(BUILD, [line("half a pair \ud83d"), line("\x00\x1b[31m\u2028")])
    records = [piece async for piece in events.read_bytes(BUILD)]
    first, second = (orjson.loads(record) for record in b"".join(records).split(b"\n")[:-1])
    assert "raw" not in first
    assert first["line"].startswith("half a pair")
    assert second["line"] == "\x00\x1b[31m\u2028"
