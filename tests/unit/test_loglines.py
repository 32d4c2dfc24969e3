import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.eventfile import EventFile
from headrace.loglines import LINE, LineEncoder, Tally, of_build, raw_bytes
from headrace.model.event import EVENT, Log

TS = "2026-11-20T21:00:00.123Z"

#: Bytes as hostile as they come: text, newlines, controls, quotes, escapes, halves of characters, per cent signs.
ROUGH = st.lists(
    st.one_of(
        st.sampled_from([b"\n", b"\r\n", b"\x00", b'"', b"\\", b"\\n", b"%d", b"%", b"\xff", b"\xe2\x82", b"\xf0\x9f"]),
        st.sampled_from(["€", "😀", "\u2028", "\x7f", "\x1b[31m"]).map(str.encode),
        st.text(max_size=20).map(lambda text: text.encode(errors="replace")),
        st.binary(max_size=20),
    ),
    max_size=40,
).map(b"".join)


def records_of(blocks: list[bytes]) -> list[dict[str, object]]:
    return [json.loads(b"{" + record) for record in b"\n".join(blocks).split(b"\n") if record]


def encoded(chunks: list[bytes], *, idle: bool = False) -> tuple[list[dict[str, object]], Tally]:
    encoder = LineEncoder(of_build("build_1", "build"), "stdout")
    blocks: list[bytes] = []
    for chunk in chunks:
        blocks += encoder.feed(chunk, TS)
        if idle:
            blocks += encoder.flush(TS, final=False)
    blocks += encoder.flush(TS)
    return records_of(blocks), encoder.tally


def printed(records: list[dict[str, object]]) -> bytes:
    return b"".join(raw_bytes(record) for record in records)


@settings(deadline=None)
@given(st.lists(ROUGH, max_size=8), st.booleans())
def test_the_records_stand_for_exactly_the_bytes_that_were_printed(chunks: list[bytes], idle: bool) -> None:
    records, tally = encoded(chunks, idle=idle)
    data = b"".join(chunks)
    assert printed(records) == data
    assert tally.bytes == len(data)
    assert tally.lines == data.count(b"\n") + (data != b"" and not data.endswith(b"\n"))


@settings(deadline=None)
@given(ROUGH)
def test_records_are_valid_log_events_and_raw_is_only_for_what_is_no_text(data: bytes) -> None:
    for record in encoded([data])[0]:
        event = EVENT.validate_python({**record, "seq": 1})
        assert isinstance(event, Log)
        assert (event.raw is None) == (raw_bytes(record).removesuffix(b"\n") == event.line.encode())


@settings(deadline=None)
@given(st.lists(ROUGH, max_size=8), st.data())
def test_where_the_chunks_are_cut_changes_nothing(chunks: list[bytes], draw: st.DataObject) -> None:
    data = b"".join(chunks)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=6)))
    cut = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    again, tally = encoded(cut)
    once, expected = encoded([data])
    assert again == once
    assert (tally.lines, tally.bytes, tally.sha256) == (expected.lines, expected.bytes, expected.sha256)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 3), st.integers(LINE - 4, 3 * LINE + 4), st.sampled_from(["x", "é", "€", "😀"]))
def test_a_long_line_is_cut_between_characters(before: int, length: int, character: str) -> None:
    data = b"x" * before + (character * (length // len(character.encode()))).encode() + b"\nnext\n"
    records, tally = encoded([data])
    assert printed(records) == data
    assert tally.lines == 2
    assert all("raw" not in record and len(raw_bytes(record)) <= LINE + 1 for record in records)
    assert [record.get("eol", True) for record in records] == [False] * (len(records) - 2) + [True, True]


def test_a_line_of_exactly_the_limit_is_one_record() -> None:
    assert len(encoded([b"x" * LINE + b"\n"])[0]) == 1
    assert len(encoded([b"x" * (LINE + 1) + b"\n"])[0]) == 2


def test_a_hundred_megabytes_without_a_newline_stay_small_in_memory() -> None:
    encoder = LineEncoder(of_build("build_1", "build"), "stdout")
    pieces = 0
    for _ in range(1600):
        pieces += sum(block.count(b"\n") + 1 for block in encoder.feed(b"x" * LINE, TS))
        assert len(encoder.pending) <= LINE
    encoder.flush(TS)
    assert (encoder.tally.bytes, encoder.tally.lines, pieces) == (1600 * LINE, 1, 1599)


def test_half_a_character_waits_while_the_stream_is_quiet_and_is_kept_raw_when_it_ends() -> None:
    encoder = LineEncoder(of_build("build_1", "build"), "stdout")
    encoder.feed("a€".encode()[:-1], TS)
    (quiet,) = records_of(encoder.flush(TS, final=False))
    assert (quiet["line"], quiet["eol"]) == ("a", False)
    assert encoder.pending == "€".encode()[:-1]
    assert encoder.flush(TS, final=False) == []
    (last,) = records_of(encoder.flush(TS))
    assert (last["line"], raw_bytes(last)) == ("\ufffd", "€".encode()[:-1])


def test_a_record_says_where_and_when_it_was_printed() -> None:
    encoder = LineEncoder(of_build('build_"1"', "dependencies"), "stderr")
    (record,) = records_of(encoder.feed(b"added 120 packages\n", TS))
    assert record == {
        "ts": TS,
        "type": "build.log",
        "build_id": 'build_"1"',
        "step": "dependencies",
        "stream": "stderr",
        "line": "added 120 packages",
    }


def test_two_streams_share_one_tally_in_the_order_of_the_records() -> None:
    tally, other = Tally(), Tally()
    out, err = (LineEncoder(of_build("b", "build"), stream, tally) for stream in ("stdout", "stderr"))
    out.feed(b"half ", TS)
    err.feed(b"error\n", TS)
    out.feed(b"line\n", TS)
    other.add(b"error\nhalf line\n")
    assert (tally.lines, tally.bytes, tally.sha256) == (2, 16, other.sha256)


@pytest.mark.parametrize("data", [bytes(range(256)) * 700, b"\xff\n" * 5000, "😀\n".encode() * 30_000])
def test_rough_output_goes_through_the_file_and_back(tmp_path: Path, data: bytes) -> None:
    file, encoder = EventFile(tmp_path / "log.ndjson"), LineEncoder(of_build("b", "build"), "stdout")
    for start in range(0, len(data), 65_536):
        if blocks := encoder.feed(data[start : start + 65_536], TS):
            file.append(blocks)
    if blocks := encoder.flush(TS):
        file.append(blocks)
    file.close()
    stored = [json.loads(record) for record in b"".join(file.read_from()).split(b"\n")[:-1]]
    assert [record["seq"] for record in stored] == list(range(1, len(stored) + 1))
    assert printed(stored) == data
