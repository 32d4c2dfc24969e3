import hashlib
import os
from pathlib import Path

import pytest

from headrace.cli.local_files import LocalFiles


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture
def local(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path, file_bytes=100)


def test_ignored_files_and_those_of_editors_are_no_part_of_it(local: LocalFiles) -> None:
    write(local.root, **{"a.txt": "1", ".gitignore": "dist\n", "dist/x": "1", "node_modules/y/z": "1", "a.txt~": "1"})
    write(local.root, **{".a.txt.swp": "1", "4913": "1", "logo.swf": "1", "empty/.gitkeep": ""})
    local.scan()
    assert set(local.files) == {"a.txt", ".gitignore", "logo.swf", "empty/.gitkeep"}
    assert local.directories == {"", "empty"}


def test_a_touched_file_is_read_again_even_when_its_times_are_those_from_before(local: LocalFiles) -> None:
    write(local.root, **{"a.txt": "one"})
    os.utime(local.root / "a.txt", (1, 1))
    local.scan()
    write(local.root, **{"a.txt": "two"})
    os.utime(local.root / "a.txt", (1, 1))
    local.look({"a.txt"})
    assert local.files["a.txt"].digest == digest("two")


def test_a_file_that_was_saved_just_before_it_was_read_is_read_again(local: LocalFiles) -> None:
    write(local.root, **{"a.txt": "one"})
    local.scan()
    before = (local.root / "a.txt").stat()
    write(local.root, **{"a.txt": "two"})
    os.utime(local.root / "a.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    local.scan()
    assert local.files["a.txt"].digest == digest("two")


@pytest.mark.parametrize("touched", [{"b.txt"}, {"new/c.txt"}, {"new"}, {""}])
def test_new_files_are_found_where_something_happened(local: LocalFiles, touched: set[str]) -> None:
    write(local.root, **{"a.txt": "1"})
    local.scan()
    write(local.root, **{"b.txt": "2", "new/c.txt": "3"})
    local.look(touched)
    assert set(local.files) == {"a.txt", "b.txt", "new/c.txt"}
    assert local.directories == {"", "new"}


def test_a_save_by_renaming_is_one_changed_file(local: LocalFiles) -> None:
    write(local.root, **{"a.txt": "1"})
    local.scan()
    write(local.root, **{"a.txt.tmp.4711": "2"})
    (local.root / "a.txt.tmp.4711").rename(local.root / "a.txt")
    local.look({"a.txt", "a.txt.tmp.4711"})
    assert {path: file.digest for path, file in local.files.items()} == {"a.txt": digest("2")}


def test_what_is_gone_is_gone_also_with_its_directory(local: LocalFiles) -> None:
    write(local.root, **{"a.txt": "1", "sub/b.txt": "2"})
    local.scan()
    (local.root / "a.txt").unlink()
    local.look({"a.txt"})
    (local.root / "sub").rename(local.root.parent / f"{local.root.name}-elsewhere")
    local.look({"sub"})
    assert local.files == {}


def test_an_ignore_file_that_changes_is_obeyed_at_once(local: LocalFiles) -> None:
    write(local.root, **{"a.txt": "1", "b.log": "1"})
    local.scan()
    write(local.root, **{".gitignore": "*.log\n"})
    local.look({".gitignore"})
    assert set(local.files) == {"a.txt", ".gitignore"}


def test_an_ignored_file_that_changes_all_the_time_costs_one_look(local: LocalFiles) -> None:
    write(local.root, **{".gitignore": "*.log\n", "b.log": "1"})
    local.scan()
    local.look({"b.log"})
    write(local.root, **{"new.txt": "1"})
    local.look({"b.log"})
    assert set(local.files) == {".gitignore"}


def test_what_can_not_be_sent_is_named_with_the_reason(
    local: LocalFiles, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.write_text("s")
    write(local.root, **{"big": "x" * 101, "dot.": "1", "ok": "1"})
    (local.root / "out").symlink_to(outside)
    (local.root / "in").symlink_to("ok")
    os.mkfifo(local.root / "pipe")
    local.scan()
    assert set(local.files) == {"ok", "in"}
    assert set(local.left_out) == {"big", "dot.", "out", "pipe"}
    assert "101 bytes" in local.left_out["big"]
    assert local.read("out") is None
    assert local.read("pipe") is None


def test_reading_gives_bytes_and_digest_of_one_moment(local: LocalFiles) -> None:
    write(local.root, **{"run.sh": "#!/bin/sh"})
    (local.root / "run.sh").chmod(0o755)
    local.scan()
    content = local.read("run.sh")
    assert content is not None
    assert (content.data, content.file.executable, content.file.digest) == (b"#!/bin/sh", True, digest("#!/bin/sh"))
