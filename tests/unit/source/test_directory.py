"""Directories of this machine. What every source does is in tests/contract/test_source.py."""

import os
import socket
from pathlib import Path

import pytest

from headrace.errors import InvalidInput, StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.model.version import DirectorySource
from headrace.settings import Settings
from headrace.source.base import Fetched
from headrace.source.directory import DirectoryFetcher


async def fetch(root: Path) -> Fetched:
    return await DirectoryFetcher(Settings()).fetch(DirectorySource(path=str(root)), root.parent / "unused", seconds=30)


async def test_files_stay_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/a").write_text("1")
    (tmp_path / "p/l").symlink_to("a")
    fetched = await fetch(tmp_path / "p")
    assert (fetched.root, fetched.paths) == (tmp_path / "p", ["a", "l"])
    assert fetched.author.kind == "user"
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../x", "d/../../x"])
async def test_a_link_that_leads_out_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "p/d").mkdir(parents=True)
    (tmp_path / "p/l").symlink_to(target)
    with pytest.raises(InvalidInput) as caught:
        await fetch(tmp_path / "p")
    assert caught.value.exact_code == "config.symlink_forbidden"


async def test_a_link_that_is_ignored_may_lead_anywhere(tmp_path: Path) -> None:
    (tmp_path / "l").symlink_to("/etc")
    (tmp_path / ".headraceignore").write_text("l\n")
    assert (await fetch(tmp_path)).paths == [".headraceignore"]


async def test_what_is_neither_file_nor_link_is_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "sock"))
    fetched = await fetch(tmp_path)
    assert fetched.paths == ["a"]
    assert [note.split(": ")[1] for note in fetched.notes] == ["pipe", "sock"]


async def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9")).write_text("x")
    with pytest.raises(InvalidInput) as caught:
        await fetch(tmp_path)
    assert caught.value.exact_code == "path.invalid"


async def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(StepFailed) as caught:
        await fetch(tmp_path / "f")
    assert caught.value.failure.reason is FailureReason.SOURCE_NOT_FOUND


async def test_a_directory_where_all_is_ignored_is_empty(tmp_path: Path) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules/a").write_text("x")
    with pytest.raises(StepFailed) as caught:
        await fetch(tmp_path)
    assert caught.value.failure.reason is FailureReason.SOURCE_EMPTY
