"""Bringing files into a directory where somebody else may have put anything."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.errors import SandboxBlocked
from headrace.executor._writing import write_files
from headrace.model.sandbox import SandboxFile


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "root").mkdir()
    descriptor = os.open(tmp_path / "root", os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def place(tmp_path: Path, root: int) -> Path:
    return tmp_path / "root"


def test_an_existing_file_keeps_its_inode_and_gets_exactly_the_new_bytes(root: int, place: Path) -> None:
    for text in (b"first", b"a longer second text", b"3", b""):
        write_files(root, [SandboxFile("file", text)], [])
        assert (place / "file").read_bytes() == text
        if text == b"first":
            inode = (place / "file").stat().st_ino
        assert (place / "file").stat().st_ino == inode


def test_nothing_but_the_files_is_left_in_the_directory(root: int, place: Path) -> None:
    write_files(root, [SandboxFile("a", b"1"), SandboxFile("d/b", b"2", executable=True)], [])
    assert sorted(os.listdir(place)) == ["a", "d"]
    assert sorted(os.listdir(place / "d")) == ["b"]
    modes = [(place / name).stat().st_mode & 0o777 for name in ("a", "d", "d/b")]
    assert modes == [0o644, 0o755, 0o755]


def test_being_executable_follows_the_newest_write(root: int, place: Path) -> None:
    for executable in (True, False, True):
        write_files(root, [SandboxFile("tool", b"#!", executable=executable)], [])
        assert bool((place / "tool").stat().st_mode & 0o111) is executable


def test_a_running_program_is_replaced_and_not_changed(root: int, place: Path, tmp_path: Path) -> None:
    program = place / "program"
    program.write_bytes(Path("/bin/sleep").resolve().read_bytes())
    program.chmod(0o755)
    pid = os.posix_spawn(program, ["program", "1000"], {})
    try:
        write_files(root, [SandboxFile("program", b"new")], [])
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert program.read_bytes() == b"new"
    assert os.listdir(place) == ["program"]


def test_a_fifo_with_a_reader_is_not_written_to(root: int, place: Path) -> None:
    os.mkfifo(place / "fifo")
    reader = os.open(place / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(SandboxBlocked):
            write_files(root, [SandboxFile("fifo", b"secret")], [])
        assert os.read(reader, 100) == b""
    finally:
        os.close(reader)


def test_files_before_the_blocked_one_are_written(root: int, place: Path) -> None:
    (place / "link").symlink_to("/etc/hostname")
    with pytest.raises(SandboxBlocked, match="a link is in the way"):
        write_files(root, [SandboxFile("one", b"1"), SandboxFile("link", b"2"), SandboxFile("three", b"3")], [])
    assert sorted(os.listdir(place)) == ["link", "one"]
