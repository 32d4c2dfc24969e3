"""What pages tell: taken when it has the right shape, cut to size, cleaned, counted."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InvalidInput
from headrace.model.preview import PREVIEW_EVENT, PagePosition, PreviewConsole, PreviewError, PreviewRequestFailed
from headrace.preview.console import LONGEST_TEXT, MAX_REPORTS, Told, clean, read_batch
from headrace.preview.originals import beside

ORIGIN = "http://shop.preview.localhost:8080"
PROJECT = "prj_01hzzzzzzzzzzzzzzzzzzzzzzz"
VERSION = "ver_01hzzzzzzzzzzzzzzzzzzzzzzz"
LOG = {"type": "console", "level": "log", "text": "hello", "id": "a.1", "page": "/x?y=1", "version_id": VERSION}


def batch(*reports: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"version": 1, "reports": reports, **more}).encode()


async def told(*reports: dict[str, Any]) -> list[Any]:
    return list(await Told().events(PROJECT, read_batch(batch(*reports)), origin=ORIGIN))


async def test_a_line_of_the_console_becomes_an_event() -> None:
    own = f"    at console.log ({ORIGIN}/.headrace/page.js:9:9)"
    [event] = await told(LOG | {"stack": f"Error\n{own}\n    at run ({ORIGIN}/main.js:3:9)"})
    assert event == PreviewConsole(
        project_id=PROJECT,
        report="a.1",
        level="log",
        text="hello",
        page="/x?y=1",
        version_id=VERSION,
        at=PagePosition(file="main.js", line=3, column=9, function="run"),
    )


async def test_an_error_has_its_stack_in_lines_of_the_source() -> None:
    data = json.dumps({"version": 3, "sources": ["../../src/a.ts"], "names": [], "mappings": "AAEI"}).encode()
    report = {"type": "error", "message": "boom", "stack": f"boom@{ORIGIN}/assets/a.js:1:1\nboom@{ORIGIN}/b.js:2:2"}

    async def maps(script: str) -> bytes | None:
        return data if script == "assets/a.js" else None

    reports = read_batch(batch(report))
    [event] = await Told().events(PROJECT, reports, origin=ORIGIN, map_of=beside(maps))
    assert isinstance(event, PreviewError)
    assert [(at.file, at.line, at.column) for at in event.stack] == [("src/a.ts", 3, 5), ("b.js", 2, 2)]


async def test_an_error_without_a_stack_has_the_browsers_own_place() -> None:
    [event] = await told({"type": "error", "message": "boom", "file": f"{ORIGIN}/", "line": 4, "column": 2})
    assert event.stack == (PagePosition(file="index.html", line=4, column=2),)


async def test_a_request_that_failed_becomes_an_event() -> None:
    [event] = await told({"type": "request", "method": "post", "url": f"{ORIGIN}/api", "status": 500})
    assert event == PreviewRequestFailed(project_id=PROJECT, method="POST", url=f"{ORIGIN}/api", status=500, page="")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        batch(LOG, version=2),
        batch(LOG | {"type": "ready"}),
        batch(LOG | {"level": "fatal"}),
        batch(LOG | {"text": {"__proto__": 1}}),
        batch(LOG | {"text": None}),
        batch({"type": "error", "message": "x", "line": "1"}),
        batch({"type": "request", "method": "GET", "url": "/", "status": 10**30}),
        batch(*[LOG] * (MAX_REPORTS + 1)),
        batch(LOG, dropped=-1),
        b'{"version":1,"reports":' + b"[" * 50_000,
        b'{"version":1,"reports":[{"type":"console","level":"log","text":"\\ud800"}]}',
        b"\xff",
    ],
)
def test_what_has_another_shape_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_batch(body)


async def test_texts_are_cut_and_hold_nothing_that_a_terminal_obeys() -> None:
    [event] = await told(LOG | {"text": "\x1b[31mred\x1b[0m\x07 \x9b2J\u202egnp" + "x" * 60_000})
    assert event.text.startswith("red ")
    assert len(event.text) == LONGEST_TEXT
    assert not set(event.text) & {"\x1b", "\x07", "\x9b", "\u202e"}


async def test_ids_that_are_none_are_left_out() -> None:
    [event] = await told(LOG | {"id": "<b>", "version_id": "newest"})
    assert (event.report, event.version_id) == (None, None)


async def test_odd_numbers_make_no_odd_events() -> None:
    reports = [
        {"type": "error", "message": "x", "file": f"{ORIGIN}/a.js", "line": -5, "column": 2},
        {"type": "request", "method": "GET" * 50, "url": "x" * 50_000, "status": -1},
    ]
    error, request = await told(*reports)
    assert error.stack[0].line == 1
    assert (len(request.method), len(request.url), request.status) == (20, 2048, None)


async def test_a_flood_is_cut_off_with_one_warning_a_minute() -> None:
    now = 0.0
    told = Told(clock=lambda: now)
    full = read_batch(batch(*[LOG] * MAX_REPORTS))
    kinds = [event.type for _ in range(20) for event in await told.events(PROJECT, full, origin=ORIGIN)]
    assert kinds.count("preview.console") == 300
    assert kinds.count("preview.warning") == 1

    other = [event.type for event in await told.events("prj_other", full, origin=ORIGIN)]
    assert other == ["preview.console"] * MAX_REPORTS

    now = 61.0
    kinds = [event.type for _ in range(20) for event in await told.events(PROJECT, full, origin=ORIGIN)]
    assert kinds.count("preview.console") == 300
    assert kinds.count("preview.warning") == 1


async def test_a_page_that_left_reports_out_itself_is_warned_about_too() -> None:
    events = await Told().events(PROJECT, read_batch(batch(LOG, dropped=7)), origin=ORIGIN)
    assert [event.type for event in events] == ["preview.console", "preview.warning"]


async def test_a_page_can_not_have_a_server_look_up_any_number_of_addresses() -> None:
    asked = []

    async def map_of(path: str) -> bytes | None:
        asked.append(path)
        return None

    stacks = [{"stack": f"at {ORIGIN}/{n}.js:1:1\nat {ORIGIN}/{n}b.js:1:1"} for n in range(60)]
    reports = read_batch(batch(*[LOG | stack for stack in stacks]))
    await Told().events(PROJECT, reports, origin=ORIGIN, map_of=map_of)
    assert len(asked) == 20


@given(st.text(max_size=300))
def test_clean_text_is_printable(text: str) -> None:
    done = clean(text, 100)
    assert len(done) <= 100
    assert all(char.isprintable() or char in "\n\t" or ord(char) >= 0xA0 for char in done)
    done.encode()


@given(st.text(max_size=100), st.text(max_size=100))
async def test_every_event_can_be_stored_and_read_back(text: str, page: str) -> None:
    document = json.dumps({"version": 1, "reports": [LOG | {"text": text, "page": page}]}, ensure_ascii=False)
    for event in await Told().events(PROJECT, read_batch(document.encode(errors="replace")), origin=ORIGIN):
        assert PREVIEW_EVENT.validate_json(event.model_dump_json()) == event
