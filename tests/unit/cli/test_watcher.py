import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.cli.watcher import Watcher


@pytest.fixture
def watcher(tmp_path: Path) -> Iterator[Watcher]:
    with Watcher(tmp_path) as watcher:
        yield watcher


def heard(watcher: Watcher, wanted: str, seconds: float = 20) -> set[str]:
    """What is heard until this path is in it."""
    found: set[str] = set()
    guard = threading.Timer(seconds, watcher.wake)
    guard.start()
    try:
        while wanted not in found:
            paths = watcher.wait()
            assert paths is not None, f"nothing was heard of {wanted}"
            found |= paths
    finally:
        guard.cancel()
    return found


def test_a_save_is_heard_with_its_path(watcher: Watcher, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert watcher.watch({"", "sub"})
    (tmp_path / "sub" / "a.txt").write_text("1")
    assert heard(watcher, "sub/a.txt") <= {"sub/a.txt", "sub"}


def test_a_directory_that_is_not_named_is_not_watched(watcher: Watcher, tmp_path: Path) -> None:
    (tmp_path / "node_modules").mkdir()
    watcher.watch({""})
    (tmp_path / "node_modules" / "x").write_text("1")
    (tmp_path / "a.txt").write_text("1")
    assert "node_modules/x" not in heard(watcher, "a.txt")


def test_only_another_set_of_directories_is_watched_anew(watcher: Watcher, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert watcher.watch({""})
    assert not watcher.watch({""})
    assert watcher.watch({"", "new"})
    (tmp_path / "new" / "a.txt").write_text("1")
    heard(watcher, "new/a.txt")


def test_many_changes_are_one_burst(watcher: Watcher, tmp_path: Path) -> None:
    watcher.watch({""})

    def save() -> None:
        for number in range(200):
            (tmp_path / f"{number}.txt").write_text("1")
            time.sleep(0.001)

    saving = threading.Thread(target=save)
    saving.start()
    bursts = 0
    found: set[str] = set()
    while len(found) < 200:
        found |= watcher.wait() or set()
        bursts += 1
    saving.join()
    assert bursts < 20


def test_a_wait_ends_when_somebody_wakes_it(watcher: Watcher) -> None:
    watcher.watch({""})
    watcher.wake()
    assert watcher.wait() is None


def test_a_directory_that_went_meanwhile_is_no_reason_to_look_again_and_again(watcher: Watcher) -> None:
    watcher.watch({"", "gone"})
    assert not watcher.polls


def test_where_nobody_tells_of_changes_each_wait_means_to_look_everywhere(watcher: Watcher) -> None:
    watcher.polls, watcher.poll_seconds = "file system nfs4", 0.001
    assert not watcher.watch({""})
    assert watcher.wait() is None


def test_ctrl_c_that_did_not_end_the_wait_itself_is_heard_soon(watcher: Watcher) -> None:
    # As one does that comes in the moment before the wait: it is known of, and nothing is woken.
    other = threading.Thread(target=time.sleep, args=(3,))
    other.start()
    assert other.ident
    late = threading.Timer(0.2, signal.pthread_kill, (other.ident, signal.SIGINT))
    guard = threading.Timer(10, watcher.wake)
    for timer in (late, guard):
        timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        watcher.wait()
    assert time.monotonic() - began < 9
    guard.cancel()
    other.join()
