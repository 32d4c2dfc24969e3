"""The digest of a tree: the same for what is the same, another one for every difference that a build could see."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.layers._content import content_digest


def tree(place: Path) -> Path:
    (place / "dir" / "empty").mkdir(parents=True)
    (place / "a").write_text("one")
    (place / "dir" / "b").write_text("two")
    (place / "link").symlink_to("a")
    os.mkfifo(place / "pipe")
    return place


def test_equal_trees_have_one_digest_whoever_made_them_when(tmp_path: Path) -> None:
    first, second = tree(tmp_path / "first"), tree(tmp_path / "second")
    os.utime(second / "a", (0, 0))
    assert content_digest(first) == content_digest(second)


def test_the_order_in_which_entries_were_made_says_nothing(tmp_path: Path) -> None:
    names = [f"{number:02}" for number in range(50)]
    for place, order in (("up", names), ("down", names[::-1])):
        (tmp_path / place).mkdir()
        for name in order:
            (tmp_path / place / name).write_text(name)
    assert content_digest(tmp_path / "up") == content_digest(tmp_path / "down")


def replaced(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "bytes": lambda top: (top / "a").write_text("eno"),
    "a longer file": lambda top: (top / "a").write_text("one "),
    "a mode": lambda top: (top / "a").chmod(0o755),
    "the mode of a directory": lambda top: (top / "dir").chmod(0o700),
    "a name": lambda top: (top / "a").rename(top / "c"),
    "a name that isn't UTF-8": lambda top: (top / "a").rename(top / os.fsdecode(b"\xff")),
    "another directory": lambda top: (top / "dir" / "b").rename(top / "b"),
    "a file that is gone": lambda top: (top / "dir" / "b").unlink(),
    "an empty directory that is gone": lambda top: (top / "dir" / "empty").rmdir(),
    "an empty file more": lambda top: (top / "more").touch(),
    "where a link leads": lambda top: replaced(top / "link", lambda path: path.symlink_to("dir")),
    "the file in place of a link to it": lambda top: replaced(top / "link", lambda path: path.write_text("one")),
    "a file in place of a pipe": lambda top: replaced(top / "pipe", Path.touch),
    "a directory in place of a file": lambda top: replaced(top / "a", Path.mkdir),
    "two files that changed places": lambda top: [(top / "a").write_text("two"), (top / "dir" / "b").write_text("one")],
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_difference_makes_another_digest(tmp_path: Path, change: str) -> None:
    top = tree(tmp_path / "tree")
    before = content_digest(top)
    CHANGES[change](top)
    assert content_digest(top) != before


def test_what_a_link_leads_to_is_not_looked_at(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    top = tmp_path / "tree"
    top.mkdir()
    (top / "out").symlink_to(outside)
    before = content_digest(top)
    (outside / "file").write_text("changed")
    assert content_digest(top) == before
