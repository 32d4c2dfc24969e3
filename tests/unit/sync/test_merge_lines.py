"""Merging of two changes of one text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.sync.merge_lines import merge_lines


def text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


BASE = text("1", "2", "3", "4", "5", "6", "7")


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [
        (text("one", *"234567"), text(*"123456", "seven"), text("one", *"23456", "seven")),
        (text(*"34567"), text(*"12345677"), text(*"345677")),
        (BASE, BASE, BASE),
        (text(*"1234567", "8")[:-1], text("0", *"1234567"), text("0", *"1234567", "8")[:-1]),
    ],
)
def test_changes_in_different_places_both_count(ours: bytes, theirs: bytes, merged: bytes) -> None:
    for sides in ((ours, theirs), (theirs, ours)):
        outcome = merge_lines(BASE, *sides)
        assert outcome is not None
        assert outcome.text == merged


def test_line_endings_and_bytes_that_are_no_text_stay() -> None:
    base = b"a\r\nb\r\nc\r\nd\xff\r\ne"
    outcome = merge_lines(base, base.replace(b"a", b"A"), base.replace(b"e", b"E"))
    assert outcome is not None
    assert outcome.text == b"A\r\nb\r\nc\r\nd\xff\r\nE"


def test_a_conflict_has_the_lines_of_all_sides_and_its_place_in_ours() -> None:
    ours = text("new", "new", *"12", "drei", *"4567")
    outcome = merge_lines(BASE, ours, text(*"12", "trois", *"456", "sept"))
    assert outcome is not None
    assert outcome.text is None
    (hunk,) = outcome.hunks
    assert (hunk.line, hunk.base, hunk.ours, hunk.theirs) == (5, ("3\n",), ("drei\n",), ("trois\n",))


def test_lines_that_look_like_gits_marks_are_text() -> None:
    base = b"<<<<<<< a\n1\n||||||| b\n2\n=======\n3\n>>>>>>> c\n" + b"=" * 200 + b"\n"
    clean = merge_lines(base, b"x\n" + base, base + b"y\n")
    assert clean is not None
    assert clean.text == b"x\n" + base + b"y\n"
    outcome = merge_lines(base, base.replace(b"1", b"<<<<<<< one"), base.replace(b"1", b"======= un"))
    assert outcome is not None
    assert [(h.line, h.base, h.ours, h.theirs) for h in outcome.hunks] == [
        (2, ("1\n",), ("<<<<<<< one\n",), ("======= un\n",))
    ]


def test_a_conflict_of_megabytes_is_cut() -> None:
    outcome = merge_lines(b"", b"ours\n" * 100_000, b"theirs\n" * 100_000)
    assert outcome is not None
    (hunk,) = outcome.hunks
    assert len("".join(hunk.ours)) <= 4000
    assert hunk.omitted + len(hunk.ours) + len(hunk.theirs) == 200_000


LINES = st.lists(st.sampled_from("abcdefgh"), max_size=12)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(LINES, LINES, LINES)
def test_no_line_of_either_side_is_lost(base: list[str], ours: list[str], theirs: list[str]) -> None:
    outcome = merge_lines(text(*base), text(*ours), text(*theirs))
    assert outcome is not None
    if outcome.text is None:
        assert outcome.hunks
        return
    lines = set(outcome.text.decode().split())
    assert (set(ours) | set(theirs)) - set(base) <= lines
    assert lines <= set(base) | set(ours) | set(theirs)
