"""Sandboxes' directories, removed by many at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from headrace.disk import locked
from headrace.executor._sandbox_directory import SandboxDirectory


@contextmanager
def others_look(root: Path) -> Iterator[None]:
    """Others that close a sandbox look whether somebody still reads what was set aside, which makes its lock anew."""
    enough = threading.Event()

    def look() -> None:
        while not enough.is_set():
            for entry in root.glob(".removed-*"):
                with suppress(FileNotFoundError), locked(entry / "readers"):
                    pass

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        enough.set()
        for thread in threads:
            thread.join()


def made(root: Path, name: str) -> SandboxDirectory:
    for part in range(50):
        (root / name / "disk" / str(part)).mkdir(parents=True)
    return SandboxDirectory(root, name)


def test_a_sandbox_that_closes_while_others_do_is_removed(tmp_path: Path) -> None:
    with others_look(tmp_path):
        for number in range(20):
            made(tmp_path, f"sbx_{number}").remove()
    made(tmp_path, "sbx_last").remove()
    assert list(tmp_path.iterdir()) == []
