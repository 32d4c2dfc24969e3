"""Taking away what a command wrote, when the command wanted something else."""

import os
from pathlib import Path

import pytest

from headrace.errors import ExecutorUnavailable
from headrace.executor._sandbox_directory import make_directory, sandbox_path
from headrace.executor._written import open_layers, take


@pytest.fixture
def top(tmp_path: Path) -> Path:
    made = tmp_path / "top"
    (made / "node_modules" / "a").mkdir(parents=True)
    return made


def test_links_on_the_way_are_not_followed(tmp_path: Path, top: Path) -> None:
    secret = tmp_path / "secret" / "node_modules"
    secret.mkdir(parents=True)
    (top / "web").symlink_to(tmp_path / "secret")
    (top / "up").symlink_to("..")
    for path in ("web/node_modules", "up/secret", "../secret", "/../secret"):
        assert not take(top, path, tmp_path / "into")
    assert secret.is_dir()


def test_a_link_or_a_fifo_itself_is_not_taken(tmp_path: Path, top: Path) -> None:
    (top / "link").symlink_to("node_modules")
    os.mkfifo(top / "fifo")
    assert not take(top, "link", tmp_path / "into")
    assert not take(top, "fifo", tmp_path / "into")


def test_a_directory_or_file_is_moved(tmp_path: Path, top: Path) -> None:
    assert take(top, "node_modules/", tmp_path / "into")
    assert (tmp_path / "into" / "a").is_dir()
    (top / "file").write_text("x")
    assert take(top, "file", tmp_path / "file")
    assert not take(top, "file", tmp_path / "file")


def test_one_layer_is_opened_as_it_is(top: Path) -> None:
    descriptor = open_layers([top])
    assert os.listdir(descriptor) == ["node_modules"]
    os.close(descriptor)


def test_a_directory_is_made_once_and_keeps_what_its_maker_said(tmp_path: Path) -> None:
    assert make_directory(tmp_path / "sbx_1", lambda _: {"first_id": 1})["first_id"] == 1
    assert make_directory(tmp_path / "sbx_1", lambda _: {"first_id": 2})["first_id"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["sbx_1"]


def test_a_maker_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(_: Path) -> dict[str, object]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make_directory(tmp_path / "sbx_1", fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "a/b", "a b", "-x", "x" * 200])
def test_names_that_are_no_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExecutorUnavailable):
        sandbox_path(tmp_path, name)
