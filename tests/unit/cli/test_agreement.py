"""Whose change a difference is."""

from pathlib import Path

import pytest

from headrace.cli.agreement import Agreement, Index
from headrace.cli.local_files import LocalFile


def files(**contents: str) -> dict[str, LocalFile]:
    return {path: LocalFile(f"sha256:{text}", len(text), executable=False) for path, text in contents.items()}


def agreed(**contents: str) -> Agreement:
    """Both sides had these in version v1."""
    agreement = Agreement()
    agreement.meet(files(**contents), Index("v1", files(**contents)))
    return agreement


def test_at_the_first_look_what_is_here_counts() -> None:
    agreement = Agreement()
    assert agreement.meet(files(a="mine", b="1"), Index("v1", files(a="other", c="1"))) == []
    assert agreement.pending(files(a="mine", b="1")) == files(a="mine", b="1") | {"c": None}
    assert {agreement.base(path) for path in "abc"} == {"v1"}


def test_nothing_is_sent_of_what_both_have() -> None:
    assert agreed(a="1").pending(files(a="1")) == {}


def test_a_change_of_somebody_else_is_told_once_and_not_sent_back() -> None:
    agreement = agreed(a="1", b="1")
    assert agreement.meet(files(a="1", b="1"), Index("v2", files(a="2", b="1", c="1"))) == ["a", "c"]
    assert agreement.pending(files(a="1", b="1")) == {}
    assert agreement.meet(files(a="1", b="1"), Index("v3", files(a="3", b="1", c="1"))) == []


def test_a_file_that_somebody_else_changed_too_starts_from_what_is_known_here() -> None:
    agreement = agreed(a="1", b="1")
    agreement.meet(files(a="1", b="1"), Index("v2", files(a="2", b="1")))
    agreement.meet(files(a="1", b="1"), Index("v3", files(a="3", b="1")))
    assert agreement.pending(files(a="mine", b="mine")) == files(a="mine", b="mine")
    assert (agreement.base("a"), agreement.base("b")) == ("v1", "v3")


def test_what_was_changed_here_while_nobody_watched_is_sent() -> None:
    agreement = agreed(a="1", b="1")
    agreement.meet(files(a="mine"), Index("v2", files(a="1", b="2")))
    assert agreement.pending(files(a="mine")) == files(a="mine") | {"b": None}
    assert (agreement.base("a"), agreement.base("b")) == ("v2", "v1")


def test_who_comes_to_have_the_same_as_the_other_side_agrees_again() -> None:
    agreement = agreed(a="1")
    agreement.meet(files(a="1"), Index("v2", files(a="2")))
    agreement.meet(files(a="2"), Index("v2", files(a="2")))
    assert agreement.pending(files(a="2")) == {}
    assert agreement.base("a") == "v2"


def test_a_conflict_that_was_said_is_not_sent_again_until_the_file_is_saved() -> None:
    agreement = agreed(a="1")
    mine = files(a="mine")["a"]
    agreement.settle("a", mine, ahead_of="v2")
    assert agreement.pending(files(a="mine")) == {}
    assert agreement.pending(files(a="mine again")) == files(a="mine again")
    assert agreement.base("a") == "v2"


def test_it_outlives_the_process(tmp_path: Path) -> None:
    agreement = agreed(a="1")
    agreement.meet(files(a="1"), Index("v2", files(a="2")))
    agreement.keep(tmp_path / "links" / "x.files")
    assert Agreement.kept(tmp_path / "links" / "x.files") == agreement


@pytest.mark.parametrize("stored", ["", "[]", "{}", '{"version": "v1", "files": 3, "ahead": {}}'])
def test_what_can_not_be_read_counts_as_never_written(tmp_path: Path, stored: str) -> None:
    (tmp_path / "x.files").write_text(stored)
    assert Agreement.kept(tmp_path / "x.files") == Agreement()


def test_links_of_the_server_are_left_alone() -> None:
    answer = {"version": "v1", "files": [{"path": "l", "digest": None, "size": 0, "executable": False}]}
    assert Index.of(answer).files == {}
