import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.checks.base import Output
from headrace.checks.output_reader import DescriptorReader, list_output
from headrace.errors import StepFailed
from headrace.model.diagnostic import FailureReason


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "dist").mkdir()
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def listed(tree: int, max_bytes: int = 1000, max_files: int = 10, directory: str = "dist") -> Output:
    return list_output(tree, directory, max_bytes=max_bytes, max_files=max_files)


def test_files_are_listed_sorted_with_their_sizes(tmp_path: Path, tree: int) -> None:
    (tmp_path / "dist" / "b.js").write_text("12345")
    (tmp_path / "dist" / "a" / "c").mkdir(parents=True)
    (tmp_path / "dist" / "a" / "c" / "d.css").write_text("1")
    output = listed(tree)
    assert [(file.path, file.size) for file in output.files] == [("a/c/d.css", 1), ("b.js", 5)]
    assert output.bytes == 6


def test_what_is_no_file_is_named_and_never_opened(tmp_path: Path, tree: int) -> None:
    os.mkfifo(tmp_path / "dist" / "pipe")
    (tmp_path / "dist" / "out").symlink_to("/etc/passwd")
    (tmp_path / "dist" / "in").symlink_to("a.txt")
    Path(os.fsdecode(os.fsencode(tmp_path / "dist") + b"/\xff")).touch()
    output = listed(tree)
    assert {(link.path, link.target) for link in output.links} == {("out", "/etc/passwd"), ("in", "a.txt")}
    assert set(output.odd) == {("pipe", "a FIFO"), ("\\xff", "a name that is not UTF-8")}


def test_caps_end_the_listing(tmp_path: Path, tree: int) -> None:
    for number in range(20):
        (tmp_path / "dist" / str(number)).write_text("x" * 10)
    for max_bytes, max_files, says in ((1000, 5, "5 files"), (50, 100, "MiB")):
        with pytest.raises(StepFailed, match=says) as stopped:
            listed(tree, max_bytes, max_files)
        assert stopped.value.failure.reason is FailureReason.OUTPUT_TOO_LARGE


def test_dependencies_are_not_part_of_a_result_at_the_root(tmp_path: Path, tree: int) -> None:
    (tmp_path / "node_modules" / "x").mkdir(parents=True)
    (tmp_path / "node_modules" / "x" / "index.js").touch()
    (tmp_path / "index.html").touch()
    assert [file.path for file in listed(tree, directory="").files] == ["index.html"]


def test_what_speaks_to_headrace_is_not_part_of_a_result(tmp_path: Path, tree: int) -> None:
    for name in ("headrace.toml", ".headraceignore", "index.html", "docs/headrace.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [file.path for file in listed(tree, directory="").files] == ["docs/headrace.toml", "index.html"]


@pytest.mark.timeout(10)
def test_reading_never_follows_and_never_waits(tmp_path: Path, tree: int) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "dist" / "a").write_text("abcdef")
    (tmp_path / "dist" / "link").symlink_to("../secret")
    os.mkfifo(tmp_path / "dist" / "pipe")
    reader = DescriptorReader(tree, "dist")
    assert reader.read("a", 3) == b"abc"
    assert [reader.read(name, 10) for name in ("link", "../secret", "pipe", "gone", ".")] == [b""] * 5
