from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headrace.api.log_pages import LoggedLine, log_bytes, log_text, logs_page
from headrace.eventfile import EventFile
from headrace.events.file import FileEventLog
from headrace.loglines import LineEncoder, of_build
from headrace.model.build import BuildStatus
from headrace.model.event import BuildCompleted, BuildQueued, LogTruncated, StepStarted
from headrace.model.plan import StepId

BUILD = "build_01m7xxxxxxxxxxxxxxxxxxxxxx"
PRINTED = b"one\n\x1b[31mtwo\x1b[0m\r\n\xff three\nfour without newline"


@pytest.fixture
async def events(tmp_path: Path) -> FileEventLog:
    """Events 1 and 2 are facts, 3 to 6 lines, 7 and 8 facts again; the log is open."""
    events = FileEventLog(tmp_path)
    await events.append(BUILD, [BuildQueued(build_id=BUILD), StepStarted(build_id=BUILD, step=StepId.BUILD)])
    encoder = LineEncoder(of_build(BUILD, "build"), "stdout")
    ts = "2026-11-20T21:00:00.123Z"
    EventFile(events.path(BUILD)).append(encoder.feed(PRINTED, ts) + encoder.flush(ts))
    await events.append(BUILD, [LogTruncated(build_id=BUILD, step=StepId.BUILD, bytes=99)])
    return events


async def finish(events: FileEventLog) -> None:
    await events.append(BUILD, [BuildCompleted(build_id=BUILD, status=BuildStatus.SUCCEEDED, seconds=1)], close=True)


async def joined(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def test_pages_put_together_are_the_whole_log(events: FileEventLog) -> None:
    await finish(events)
    place, ended = 0, False
    lines: list[LoggedLine] = []
    while not ended:
        page = await logs_page(events, BUILD, place, limit=2)
        lines += page.items
        place, ended = page.next_after_id, page.end
    assert [(line.id, line.line) for line in lines] == [
        (3, "one"),
        (4, "\x1b[31mtwo\x1b[0m\r"),
        (5, "� three"),
        (6, "four without newline"),
    ]
    assert [line.raw is not None for line in lines] == [False, False, True, False]
    assert lines[-1].eol is False
    assert place == 8


async def test_a_page_of_an_open_log_is_not_the_end_and_the_next_one_goes_on(events: FileEventLog) -> None:
    page = await logs_page(events, BUILD, 5, limit=100)
    assert ([line.id for line in page.items], page.end, page.next_after_id) == ([6], False, 7)
    assert page.truncated_bytes == 99
    empty = await logs_page(events, BUILD, page.next_after_id, limit=100)
    assert (empty.items, empty.end, empty.next_after_id) == ((), False, 7)
    await finish(events)
    last = await logs_page(events, BUILD, page.next_after_id, limit=100)
    assert (last.items, last.end) == ((), True)


async def test_a_page_that_is_just_full_at_the_end_is_the_last_one(events: FileEventLog) -> None:
    await finish(events)
    assert (await logs_page(events, BUILD, 0, limit=4)).end
    assert not (await logs_page(events, BUILD, 0, limit=3)).end


async def test_the_log_of_a_build_that_did_not_begin_is_empty_and_open(tmp_path: Path) -> None:
    page = await logs_page(FileEventLog(tmp_path), "build_unknown", 0, 10)
    assert (page.items, page.next_after_id, page.end) == ((), 0, False)


async def test_the_text_has_banners_and_no_escape_sequences(events: FileEventLog) -> None:
    assert (
        await joined(log_text(events, BUILD))
        == (
            "STEP 3: BUILDING\n│ one\n│ two\n│ � three\n│ four without newline\n"
            "! Not in the log, because it was full: 99 bytes\n"
        ).encode()
    )


async def test_the_bytes_are_those_that_were_printed(events: FileEventLog) -> None:
    assert await joined(log_bytes(events, BUILD)) == PRINTED
