"""Space that is kept back for the ends of builds, on disks of every fullness."""

import os
from pathlib import Path

import pytest

from headrace.errors import StoreFull
from headrace.reserve import Reserve

BLOCK = 4096
SIZE = 16 * 2**20


class Disk:
    """What the file system says of itself; the directory is a real one."""

    def __init__(self) -> None:
        self.total, self.free, self.files, self.free_files = 2**40, 2**39, 10**6, 10**5

    def say(self, _: object) -> os.statvfs_result:
        free = self.free // BLOCK
        total = self.total // BLOCK
        return os.statvfs_result(
            (BLOCK, BLOCK, total, free, free, self.files, self.free_files, self.free_files, 0, 255)
        )


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(os, "statvfs", made.say)
    return made


def kept(place: Path) -> tuple[int, int]:
    """Bytes and empty files of the reserve."""
    files = [path.stat() for path in (place / "reserve").iterdir()]
    return sum(file.st_blocks * 512 for file in files), sum(file.st_size == 0 for file in files)


def test_space_and_files_are_kept_where_there_is_much(disk: Disk, tmp_path: Path) -> None:
    reserve = Reserve(tmp_path)
    reserve.hold()
    reserve.hold()
    assert kept(tmp_path) == (SIZE, 32)
    reserve.check()
    reserve.use()
    assert kept(tmp_path) == (SIZE, 32), "nobody needs it yet"
    assert [path.name for path in tmp_path.iterdir()] == ["reserve"]


def test_of_a_small_disk_only_a_part_is_kept(disk: Disk, tmp_path: Path) -> None:
    disk.total, disk.free = 64 * 2**20, 60 * 2**20
    Reserve(tmp_path).hold()
    assert kept(tmp_path) == (2 * 2**20, 32)


@pytest.mark.parametrize(("free", "files"), [(4 * SIZE - BLOCK, 10**5), (2**39, 4 * 32 - 1)])
def test_nothing_is_kept_where_little_is_left(disk: Disk, tmp_path: Path, free: int, files: int) -> None:
    disk.free, disk.free_files = free, files
    Reserve(tmp_path).hold()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("free", "files"), [(SIZE // 2 - BLOCK, 10**5), (2**39, 15)])
def test_it_is_given_back_when_something_must_be_written_and_made_again_later(
    disk: Disk, tmp_path: Path, free: int, files: int
) -> None:
    reserve = Reserve(tmp_path)
    reserve.hold()
    before = disk.free, disk.free_files
    disk.free, disk.free_files = free, files
    reserve.use()
    reserve.use()
    assert not (tmp_path / "reserve").exists()
    reserve.hold()
    assert not (tmp_path / "reserve").exists()
    disk.free, disk.free_files = before
    reserve.hold()
    assert kept(tmp_path) == (SIZE, 32)


@pytest.mark.parametrize(("free", "files", "what"), [(SIZE - BLOCK, 10**5, "space"), (2**39, 31, "inodes")])
def test_nothing_new_begins_on_what_is_left_for_what_has_begun(
    disk: Disk, tmp_path: Path, free: int, files: int, what: str
) -> None:
    reserve = Reserve(tmp_path)
    disk.free, disk.free_files = free, files
    with pytest.raises(StoreFull, match=f"too little {what} left"):
        reserve.check()


def test_a_file_system_without_a_table_of_inodes_has_enough_of_them(disk: Disk, tmp_path: Path) -> None:
    disk.files = disk.free_files = 0
    Reserve(tmp_path).check()


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_half(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(os, "posix_fallocate", full)
    Reserve(tmp_path).hold()
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_keep_space_at_once_one_does(disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, other = os.posix_fallocate, Reserve(tmp_path)

    def meanwhile(*given: int) -> None:
        monkeypatch.setattr(os, "posix_fallocate", real)
        # Another process, with a directory of its own name.
        monkeypatch.setattr(os, "getpid", lambda: 1)
        other.hold()
        real(*given)

    monkeypatch.setattr(os, "posix_fallocate", meanwhile)
    Reserve(tmp_path).hold()
    assert kept(tmp_path) == (SIZE, 32)
    assert [path.name for path in tmp_path.iterdir()] == ["reserve"]
