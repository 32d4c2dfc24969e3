from pathlib import Path

from headrace.executor._disk import DiskWatch, used_bytes


def test_blocks_are_added_up_and_holes_cost_nothing(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "full").write_bytes(b"x" * 100_000)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**30)
    assert 100_000 <= used_bytes(str(tmp_path)) < 200_000


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 1_000_000)
    watched = tmp_path / "watched"
    watched.mkdir()
    (watched / "link").symlink_to(tmp_path)
    assert used_bytes(str(watched)) < 100_000


def test_a_directory_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert used_bytes(str(tmp_path / "none")) == 0


def test_it_does_not_look_all_the_time(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 1_000_000)
    watch = DiskWatch([str(tmp_path)], 1000)
    assert not watch.exceeded()
    watch._next = 0
    assert watch.exceeded()
    assert not watch.exceeded()
