"""Files that survive crashes, and directories that go away completely."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from headrace.disk import (
    copy_tree,
    locked,
    measure,
    open_regular,
    remove_tree,
    replace_file,
    spread_directories,
    storage_errors,
    sync_file_system,
)
from headrace.errors import InvalidInput, StoreFull, Unavailable


def make_chain(top: Path, depth: int) -> None:
    """Directories nested deeper than a path can say."""
    top.mkdir()
    descriptor = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=descriptor)
        deeper = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = deeper
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)


def test_directories_nested_five_thousand_deep_are_removed(tmp_path: Path) -> None:
    make_chain(tmp_path / "deep", 5000)
    remove_tree(tmp_path / "deep")
    assert list(tmp_path.iterdir()) == []


def test_odd_names_modes_and_kinds_are_removed_and_links_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    root = tmp_path / "root"
    (root / "closed/below").mkdir(parents=True)
    (root / "closed/below/f").write_text("x")
    for name in (b"new\nline", b"-rf", b"\xff\xfe", b"*"):
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_text("x")
    os.mkfifo(root / "fifo")
    (root / "link").symlink_to(outside)
    (root / "closed/below").chmod(0o000)
    (root / "closed").chmod(0o500)
    remove_tree(root)
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (outside / "kept").exists()


def test_removing_what_is_not_there_is_harmless_and_a_link_itself_is_removed(tmp_path: Path) -> None:
    remove_tree(tmp_path / "gone")
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    remove_tree(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_measuring_counts_blocks_and_hard_links_once(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a").write_bytes(b"x")
    os.link(tmp_path / "d/a", tmp_path / "b")
    (tmp_path / "c").write_bytes(b"x" * 4097)
    (tmp_path / "l").symlink_to("/etc/passwd")
    taken, files = measure(tmp_path)
    assert files == 4
    assert taken == 4096 + 8192 + 4096


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    replace_file(tmp_path / "f", b"one")
    replace_file(tmp_path / "f", b"two", durable=False)
    assert (tmp_path / "f").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_lock_excludes_others_and_shared_ones_share(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path) as first, locked(path) as second:
        assert (first, second) == (True, False)
    with locked(path, shared=True) as first, locked(path, shared=True) as second, locked(path) as third:
        assert (first, second, third) == (True, True, False)


@pytest.mark.parametrize(
    ("number", "error", "code"),
    [
        (errno.ENOSPC, StoreFull, "storage.full"),
        (errno.EDQUOT, StoreFull, "storage.full"),
        (errno.EIO, Unavailable, "storage.error"),
        (errno.EROFS, Unavailable, "storage.error"),
    ],
)
def test_a_full_or_failing_disk_is_an_error_with_a_code(
    number: int, error: type[StoreFull | Unavailable], code: str
) -> None:
    with pytest.raises(error) as caught, storage_errors():
        raise OSError(number, os.strerror(number), "/data/f")
    assert caught.value.exact_code == code
    assert "/data/f" in caught.value.message


def test_other_errors_pass_and_flushing_works(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), storage_errors():
        (tmp_path / "gone").read_bytes()
    sync_file_system(tmp_path)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput), open_regular(tmp_path):
        pass


def test_directories_are_spread_where_the_file_system_can_do_that(tmp_path: Path) -> None:
    kind = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=True).stdout
    for _ in range(2):
        spread_directories(tmp_path)
    if "ext" in kind:
        flags = subprocess.run(["lsattr", "-d", tmp_path], capture_output=True, text=True, check=True).stdout
        assert "T" in flags.split()[0]
    spread_directories(tmp_path / "missing")
    spread_directories(Path("/proc"))


def test_a_copy_has_what_was_there_and_stops_at_the_first_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, into = tmp_path / "source", tmp_path / "into"
    (source / "bin").mkdir(parents=True)
    (source / "bin/run").write_text("x")
    (source / "bin/run").chmod(0o755)
    (source / "here").symlink_to("bin/../bin/run")
    (into / "bin").mkdir(parents=True)
    (into / "bin/other").write_text("stays")
    copy_tree(source, into)
    assert sorted(str(path.relative_to(into)) for path in into.rglob("*")) == ["bin", "bin/other", "bin/run", "here"]
    assert os.access(into / "bin/run", os.X_OK)
    assert str((into / "here").readlink()) == "bin/../bin/run"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(StoreFull), storage_errors():
        copy_tree(source, tmp_path / "third")
