"""Paths that somebody may send files for. A real directory is the judge of what would leave it."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.sync.paths import refuse_path


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "src/App.tsx",
        "a b/c d.txt",
        ".env",
        ".github/x.yml",
        "äöü/日本.txt",
        "a..b/...x",
        "node_modules/x/y.js",
        "[id].vue",
    ],
)
def test_ordinary_paths_are_taken(path: str) -> None:
    assert refuse_path(path) is None


@pytest.mark.parametrize(
    "path",
    [
        *["", "/", "/x", "//x", "..", "../x", "a/../../x", "a/..", ".", "./a", "a/./b", "a//b", "a/", "a\\b", "..\\x"],
        *["C:\\x", "C:/x", "c:x", "a\0b", "a\nb", "a\x1bb", "a\x7f", "a\x9b", "a.", "a ", "a./b", "a /b", "..../x"],
        *["e\u0301.txt", "e\u0301/x", "x" * 5000, "x" * 256, "a/" * 2000 + "b", "\udc80"],
    ],
)
def test_paths_that_lead_elsewhere_or_mean_two_things_are_invalid(path: str) -> None:
    said = refuse_path(path)
    assert said is not None
    assert said.code == "path.invalid"
    assert len(said.why) < 500


@pytest.mark.parametrize(
    "path",
    [
        *[".git", ".git/config", "sub/.git/hooks/x", ".GIT/x", "git~1/x", ".git:x/y", ".g\u200cit/x"],
        *[
            ".headrace/x",
            "a/.headrace",
            ".Headrace/x",
            "node_modules/.cache/headrace/x",
            "a/node_modules/.cache/headrace",
        ],
    ],
)
def test_paths_of_git_and_of_headrace_are_reserved(path: str) -> None:
    said = refuse_path(path)
    assert said is not None
    assert said.code == "path.reserved"


def test_a_name_that_came_with_a_repository_may_stand_above_a_new_file() -> None:
    assert refuse_path("a\\b/new.txt", "a\\b/") is None
    assert refuse_path("a\\b/c\\d", "a\\b/") is not None
    assert refuse_path("a./.git/x", "a./") is not None


ODD = st.text(st.sampled_from("ab./\\~ \0\n:\u0301é"), max_size=12)


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.one_of(ODD, st.lists(st.sampled_from(["..", ".", "", "a", "b"]), max_size=6).map("/".join)))
def test_what_is_taken_is_written_where_it_says(path: str) -> None:
    if refuse_path(path) is not None:
        return
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, "outer", "root")
        root.mkdir(parents=True)
        target = os.path.join(root, path)  # noqa: PTH118 - pathlib would tidy it up
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).write_bytes(b"x")
        written = [p for p in Path(place).rglob("*") if p.is_file()]
        assert [str(p.relative_to(root)) for p in written] == [path]
