"""Sandboxes' directories: what a new one gets, and the end of one that many remove at once."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from headrace.disk import locked
from headrace.executor._sandbox_directory import SandboxDirectory, allot, make_directory


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


def opened(root: Path, name: str, of_each: int) -> int:
    """Where a new sandbox's processors begin, of four."""
    kept = make_directory(root / name, lambda _: allot(root, range(1000), processors=4, of_each=of_each)._asdict())
    return int(kept["processor"])


def test_sandboxes_have_the_processors_that_the_fewest_others_have(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        begins = list(pool.map(lambda number: opened(tmp_path, str(number), 1), range(8)))
    assert sorted(begins) == [0, 0, 1, 1, 2, 2, 3, 3]
    SandboxDirectory(tmp_path, "5").remove()
    assert opened(tmp_path, "next", 1) == begins[5]


def test_sandboxes_with_several_processors_share_none_as_long_as_there_are_others(tmp_path: Path) -> None:
    assert abs(opened(tmp_path, "a", 2) - opened(tmp_path, "b", 2)) == 2


def test_a_sandbox_has_an_id_that_no_other_has(tmp_path: Path) -> None:
    for number in range(20):
        opened(tmp_path, str(number), 4)
    ids = {json.loads(kept.read_bytes())["first_id"] for kept in tmp_path.glob("*/sandbox.json")}
    assert len(ids) == 20
