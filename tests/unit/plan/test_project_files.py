import os
from pathlib import Path

import pytest

from headrace.errors import StepFailed
from headrace.plan import project_files
from headrace.plan.project_files import DirectoryFiles, MemoryFiles


def test_a_directory_lists_its_files_without_dependencies_and_git(tmp_path: Path) -> None:
    for name in ("package.json", "src/deep/a.ts", "node_modules/x/index.js", ".git/config", ".nvmrc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    files = DirectoryFiles(tmp_path)
    assert sorted(files.paths()) == [".nvmrc", "package.json", "src/deep/a.ts"]
    assert files.read("src/deep/a.ts") == b"src/deep/a.ts"
    assert files.read("missing") is None
    assert files.read("src") is None


def test_a_link_is_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "package.json").symlink_to(outside / "secret")
    (root / "directory").symlink_to(outside)
    files = DirectoryFiles(root)
    with pytest.raises(StepFailed):
        files.read("package.json")
    assert files.read("directory/secret") is None


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", "", ".", "a//b"])
def test_a_path_that_leaves_the_directory_is_not_there(tmp_path: Path, path: str) -> None:
    (tmp_path / "outside").write_text("x")
    root = tmp_path / "root"
    root.mkdir()
    assert DirectoryFiles(root).read(path) is None


@pytest.mark.timeout(10)
def test_a_fifo_is_no_file_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "package.json")
    assert DirectoryFiles(tmp_path).read("package.json") is None


def test_a_file_over_the_cap_is_refused_by_name(tmp_path: Path) -> None:
    with (tmp_path / "package-lock.json").open("wb") as file:
        file.truncate(project_files.LARGEST_FILE + 1)
    with pytest.raises(StepFailed, match=r"package-lock\.json is larger"):
        DirectoryFiles(tmp_path).read("package-lock.json")


def test_given_paths_are_not_looked_up(tmp_path: Path) -> None:
    assert DirectoryFiles(tmp_path / "gone", ["a"]).paths() == {"a"}


def test_files_in_memory_are_bytes() -> None:
    files = MemoryFiles({"a": "ä", "b": b"\0"})
    assert (files.read("a"), files.read("b"), files.read("c")) == ("ä".encode(), b"\0", None)
