import os
from pathlib import Path
from typing import NamedTuple

import pytest

from headrace.executor import _disk
from headrace.executor._disk import DiskWatch, Used, nameless, used

MUCH = Used(10**9, 10**6)


class Free(NamedTuple):
    """What a file system says of itself."""

    f_bavail: int = 10**9
    f_favail: int = 10**9
    f_frsize: int = 4096
    f_files: int = 10**9
    f_blocks: int = 10**9


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[Free]:
    """The last one is what the file system says."""
    said = [Free()]
    monkeypatch.setattr(os, "statvfs", lambda _: said[-1])
    return said


def test_blocks_are_added_up_and_holes_cost_nothing(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "full").write_bytes(b"x" * 100_000)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**30)
    found = used(str(tmp_path))
    assert 100_000 <= found.bytes < 200_000
    assert found.files == 3


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 1_000_000)
    watched = tmp_path / "watched"
    watched.mkdir()
    (watched / "link").symlink_to(tmp_path)
    assert used(str(watched)).bytes < 100_000


def test_a_file_with_two_names_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 100_000)
    os.link(tmp_path / "one", tmp_path / "two")
    assert used(str(tmp_path)).bytes < 150_000
    assert used(str(tmp_path)).files == 1


def test_a_directory_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert used(str(tmp_path / "none")) == Used(0, 0)


def test_a_file_without_a_name_is_found_by_who_holds_it(tmp_path: Path) -> None:
    before = nameless(["/proc/self"], [str(tmp_path)])
    with (tmp_path / "hidden").open("wb", buffering=0) as file:
        file.write(b"x" * 100_000)
        (tmp_path / "hidden").unlink()
        assert used(str(tmp_path)).bytes == 0
        found = nameless(["/proc/self"], [str(tmp_path)])
    assert found.files == before.files + 1
    assert 100_000 <= found.bytes - before.bytes < 150_000


def test_files_in_memory_are_not_on_the_disk(tmp_path: Path) -> None:
    before = nameless(["/proc/self"], [str(tmp_path)])
    descriptor = os.memfd_create("hidden")
    os.write(descriptor, b"x" * 100_000)
    try:
        assert nameless(["/proc/self"], [str(tmp_path)]) == before
    finally:
        os.close(descriptor)


def test_it_does_not_count_all_the_time(tmp_path: Path, free: list[Free]) -> None:
    (tmp_path / "big").write_bytes(b"x" * 1_000_000)
    watch = DiskWatch([str(tmp_path)], Used(1000, 10))
    assert watch.exceeded() is None
    watch._next = 0
    assert watch.exceeded() == "bytes"
    assert watch.exceeded() is None


def test_space_that_is_gone_is_a_reason_to_count(tmp_path: Path, free: list[Free]) -> None:
    watch = DiskWatch([str(tmp_path)], Used(500_000, 10))
    (tmp_path / "big").write_bytes(b"x" * 1_000_000)
    assert watch.exceeded() is None
    free.append(Free(f_bavail=10**9 - 245))
    assert watch.exceeded() == "bytes"


def test_files_that_cost_no_space_are_counted_too(tmp_path: Path, free: list[Free]) -> None:
    watch = DiskWatch([str(tmp_path)], Used(10**9, 10))
    for number in range(11):
        (tmp_path / str(number)).touch()
    free.append(Free(f_favail=10**9 - 11))
    assert watch.exceeded() == "files"


def test_the_less_is_left_the_sooner_it_looks_again(tmp_path: Path, free: list[Free]) -> None:
    watch = DiskWatch([str(tmp_path)], MUCH)
    far = watch.wait()
    free.append(Free(f_bavail=10**9 - 240_000))
    assert far == 0.25
    assert watch.wait() < 0.02


@pytest.mark.parametrize(
    ("left", "written", "limit"),
    [
        (_disk.RESERVE_BYTES, 100 * 2**20, None),
        (_disk.RESERVE_BYTES - 4096, 0, None),
        (_disk.RESERVE_BYTES - 4096, 100 * 2**20, "machine"),
        (_disk.RESERVE_BYTES // 2 - 4096, 0, "machine"),
    ],
)
def test_a_machine_that_is_nearly_full_ends_who_has_written_much_and_then_everybody(
    tmp_path: Path, free: list[Free], left: int, written: int, limit: str | None
) -> None:
    watch = DiskWatch([str(tmp_path)], MUCH)
    with (tmp_path / "file").open("wb") as file:
        file.write(b"x" * written)
    free.append(Free(f_bavail=left // 4096))
    assert watch.exceeded() == limit


def test_a_small_file_system_keeps_a_part_of_itself_free(tmp_path: Path, free: list[Free]) -> None:
    free.append(Free(f_bavail=20_000, f_blocks=25_600, f_favail=20_000, f_files=25_600))
    watch = DiskWatch([str(tmp_path)], MUCH)
    assert watch.exceeded() is None
    watch._next = 0
    assert watch.exceeded() is None
    watch._next = 0
    free.append(Free(f_bavail=600, f_blocks=25_600, f_favail=20_000, f_files=25_600))
    assert watch.exceeded() == "machine"
