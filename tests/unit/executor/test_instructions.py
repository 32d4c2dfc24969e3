"""An end is written on a disk that is full for a while."""

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from headrace.executor import _instructions
from headrace.executor._instructions import write_once_there_is_room

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")


def full(path: Path, seconds: float) -> None:
    """The file that is written aside is one that takes nothing, for so long."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.symlink_to("/dev/full")
    threading.Timer(seconds, aside.unlink).start()


def test_an_end_waits_for_room(tmp_path: Path) -> None:
    end = tmp_path / "exit.json"
    full(end, 0.3)
    began = time.monotonic()
    write_once_there_is_room(end, b"{}")
    assert end.read_bytes() == b"{}"
    assert time.monotonic() - began >= 0.3


def test_it_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_instructions, "FULL_SECONDS", 0.2)
    end = tmp_path / "exit.json"
    full(end, 0.6)
    with pytest.raises(OSError, match="No space left") as raised:
        write_once_there_is_room(end, b"{}")
    assert raised.value.errno == errno.ENOSPC


def test_whoever_is_not_there_any_more_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_once_there_is_room(tmp_path / "closed" / "exit.json", b"{}")
