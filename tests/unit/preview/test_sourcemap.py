"""Source maps: what is known of the format, against maps written by an encoder of the test's own."""

import contextlib
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.preview.sourcemap import InvalidMap, Original, decode

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def vlq(*numbers: int) -> str:
    text = ""
    for number in numbers:
        rest = (abs(number) << 1) | (number < 0)
        while True:
            digit, rest = rest & 31, rest >> 5
            text += _LETTERS[digit | (32 if rest else 0)]
            if not rest:
                break
    return text


def map_of(mappings: str, **more: object) -> bytes:
    return json.dumps(
        {"version": 3, "sources": ["a.ts", "b.ts"], "names": ["run"], "mappings": mappings, **more}
    ).encode()


def test_a_place_is_that_of_the_last_mapping_before_it() -> None:
    found = decode(map_of(f"{vlq(0, 0, 0, 0)},{vlq(4, 1, 2, 3, 0)};;{vlq(2, -1, 5, 0)}"))
    assert found.find(0, 3) == Original("a.ts", 0, 0)
    assert found.find(0, 4) == Original("b.ts", 2, 3, "run")
    assert found.find(0, 999) == Original("b.ts", 2, 3, "run")
    assert found.find(1, 0) is None
    assert found.find(2, 1) is None
    assert found.find(2, 2) == Original("a.ts", 7, 3)
    assert found.find(3, 0) is None


def test_generated_code_without_source_is_nobodys() -> None:
    found = decode(map_of(f"{vlq(0, 0, 0, 0)},{vlq(5)},{vlq(5, 0, 1, 0)}"))
    assert found.find(0, 7) is None
    assert found.find(0, 10) == Original("a.ts", 1, 0)


def test_segments_in_disorder_are_put_in_order() -> None:
    found = decode(map_of(f"{vlq(10, 0, 1, 0)},{vlq(-10, 0, 1, 0)}"))
    assert found.find(0, 3) == Original("a.ts", 2, 0)
    assert found.find(0, 12) == Original("a.ts", 1, 0)


def test_a_source_root_goes_in_front() -> None:
    data = map_of(vlq(0, 0, 0, 0) + "," + vlq(1, 1, 0, 0), sources=["a.ts", "webpack://app/b.ts"], sourceRoot="src/")
    assert [decode(data).find(0, column) for column in (0, 1)] == [
        Original("src/a.ts", 0, 0),
        Original("webpack://app/b.ts", 0, 0),
    ]


def test_an_index_map_is_its_sections() -> None:
    sections = [
        {"offset": {"line": 0, "column": 0}, "map": json.loads(map_of(vlq(0, 0, 0, 0)))},
        {"offset": {"line": 1, "column": 10}, "map": json.loads(map_of(f"{vlq(0, 1, 4, 4)};{vlq(3, 0, 1, 0)}"))},
    ]
    found = decode(json.dumps({"version": 3, "sections": sections}).encode())
    assert found.find(0, 5) == Original("a.ts", 0, 0)
    assert found.find(1, 9) is None
    assert found.find(1, 10) == Original("b.ts", 4, 4)
    assert found.find(2, 3) == Original("b.ts", 5, 4)


def test_a_prefix_against_inclusion_is_skipped() -> None:
    assert decode(b")]}'\n" + map_of(vlq(0, 0, 0, 0))).find(0, 0) == Original("a.ts", 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b'{"version":2,"sources":[],"mappings":""}',
        map_of("A"[:0] + "!!!"),
        map_of("AA"),
        map_of("g"),
        map_of("gggggggggggggggggggggA"),
        map_of("ÄÄÄÄ"),
        map_of("AAAA", sources=7),
        b'{"version":3,"sections":[{"map":{}}]}',
        b'{"version":3,"sections":' + b"[" * 5000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_map_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidMap):
        decode(data)


def test_sources_that_are_not_there_are_not_found() -> None:
    assert decode(map_of(vlq(0, 7, 0, 0))).find(0, 0) is None
    assert decode(map_of(vlq(0, -1, 0, 0))).find(0, 0) is None
    assert decode(map_of(vlq(0, 0, -3, 0))).find(0, 0) is None
    assert decode(map_of(vlq(0, 0, 0, 0), sources=[None])).find(0, 0) is None


SEGMENT = st.tuples(st.integers(0, 300), st.integers(0, 1), st.integers(0, 5000), st.integers(0, 500))
LINES = st.lists(st.lists(SEGMENT, max_size=6, unique_by=lambda s: s[0]).map(sorted), max_size=6)


@given(LINES)
def test_every_written_mapping_is_read_back(lines: Sequence[Sequence[tuple[int, int, int, int]]]) -> None:
    source = line = at = 0
    groups = []
    for segments in lines:
        column, group = 0, []
        for segment in segments:
            group.append(vlq(segment[0] - column, segment[1] - source, segment[2] - line, segment[3] - at))
            column, source, line, at = segment
        groups.append(",".join(group))
    found = decode(map_of(";".join(groups)))
    for number, segments in enumerate(lines):
        for segment in segments:
            name = ["a.ts", "b.ts"][segment[1]]
            assert found.find(number, segment[0]) == Original(name, segment[2], segment[3])


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_being_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidMap):
        decode(data).find(0, 0)
