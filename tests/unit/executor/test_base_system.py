from pathlib import Path

import pytest
from tests.shortage import no_descriptors_left

from headrace.errors import ExecutorUnavailable
from headrace.executor import _base_system
from headrace.executor._base_system import (
    base_system_name,
    extract_argv,
    provide_base_system,
    put_aside_if_damaged,
)


def test_the_name_says_the_release_and_what_it_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    name = base_system_name()
    assert name.startswith("debian-bookworm-")
    monkeypatch.setattr(_base_system, "PACKAGES", [*_base_system.PACKAGES, "cowsay"])
    assert base_system_name() != name


def test_the_mirror_and_the_place_are_arguments_of_their_own() -> None:
    for as_root in (True, False):
        argv = extract_argv(Path("/data/base/x"), "http://mirror.example/debian", as_root=as_root)
        assert argv[-3:] == ["bookworm", "/data/base/x", "http://mirror.example/debian"]


def test_without_mmdebstrap_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExecutorUnavailable) as refused:
        provide_base_system(tmp_path, "http://mirror.example/debian")
    assert "mmdebstrap" in refused.value.message
    assert refused.value.hint
    assert "apt-get install" in refused.value.hint
    assert [path.name for path in (tmp_path / "base").iterdir() if "making" in path.name] == []


def test_a_base_system_that_is_there_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "base" / base_system_name()).mkdir(parents=True)
    assert provide_base_system(tmp_path, "http://mirror.example/debian").is_dir()


@pytest.mark.parametrize("damage", ["gone", "shorter", "missing"])
def test_a_base_system_that_is_not_as_it_was_made_loses_its_name(tmp_path: Path, damage: str) -> None:
    root = tmp_path / "base-x"
    (root / "bin").mkdir(parents=True)
    (root / "bin/sh").write_bytes(b"shell")
    assert not put_aside_if_damaged(root), "nothing was written down about it"
    _base_system._listing(root).write_text(_base_system._listed(root))
    assert not put_aside_if_damaged(root)
    match damage:
        case "gone":
            root.rename(tmp_path / "elsewhere")
        case "shorter":
            (root / "bin/sh").write_bytes(b"she")
        case _:
            (root / "bin/sh").unlink()
    assert put_aside_if_damaged(root)
    assert not root.exists()
    assert put_aside_if_damaged(root), "it has not been made again yet"


def test_what_a_link_leads_to_on_this_machine_changes_nothing(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "base-x", tmp_path / "elsewhere"
    root.mkdir()
    (root / "link").symlink_to(elsewhere)
    written = _base_system._listed(root)
    elsewhere.mkdir()
    assert _base_system._listed(root) == written
    elsewhere.rmdir()
    elsewhere.write_text("file")
    assert _base_system._listed(root) == written


def test_a_base_system_that_can_not_be_read_now_is_not_damaged(tmp_path: Path) -> None:
    root = tmp_path / "base-x"
    (root / "bin").mkdir(parents=True)
    _base_system._listing(root).write_text(_base_system._listed(root))
    with no_descriptors_left():
        assert not put_aside_if_damaged(root)
    assert root.is_dir()
