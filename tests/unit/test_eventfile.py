import errno
import fcntl
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from headrace.errors import Conflict
from headrace.eventfile import EventFile, FileState, read_state, scan, state_path

SOURCE = str(Path(__file__).parents[2] / "src")

#: A process of its own that starts as a supervisor does: no site packages, only the standard library.
APPENDER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from headrace.eventfile import EventFile
file, name, batch, size, rounds = EventFile(Path(sys.argv[2])), sys.argv[3], *map(int, sys.argv[4:])
for number in range(0, rounds * batch, batch):
    file.append([b'"by":"%s","n":%d,"fill":"%s"}' % (name.encode(), n, b"%" * size) for n in range(number, number + batch)])
"""


def appender(path: Path, name: str, *, batch: int, size: int, rounds: int) -> "subprocess.Popen[bytes]":
    arguments = [SOURCE, str(path), name, str(batch), str(size), str(rounds)]
    return subprocess.Popen([sys.executable, "-I", "-S", "-c", APPENDER, *arguments])


def record(number: int) -> bytes:
    return b'"type":"test","n":%d}' % number


def stored(path: Path, after: int = 0) -> list[dict[str, object]]:
    return [json.loads(line) for line in b"".join(EventFile(path).read_from(after)).split(b"\n")[:-1]]


def numbers(path: Path, after: int = 0) -> list[object]:
    return [event["seq"] for event in stored(path, after)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "build_1.ndjson"


def test_records_are_numbered_from_one_and_append_says_the_first_number(path: Path) -> None:
    file = EventFile(path)
    assert file.append([record(0), record(1)]) == 1
    assert file.append([record(2) + b"\n" + record(3)]) == 3
    assert file.append([record(4)]) == 5
    assert [(event["seq"], event["n"]) for event in stored(path)] == [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4)]
    assert file.state() == FileState(5, path.stat().st_size, closed=False)


def test_per_cent_signs_are_no_format(path: Path) -> None:
    EventFile(path).append([b'"line":"100 %d %s %%"}', b'"line":"%"}'])
    assert [event["line"] for event in stored(path)] == ["100 %d %s %%", "%"]


def test_a_log_that_is_not_there_is_empty(path: Path) -> None:
    assert EventFile(path).state() == FileState()
    assert numbers(path) == []
    assert not path.exists()


def test_reading_begins_behind_any_number(path: Path) -> None:
    rng = random.Random(1)  # noqa: S311
    file = EventFile(path)
    for _ in range(30):
        file.append([b'"fill":"%s"}' % (b"x" * rng.choice([0, 10, 5000, 200_000])) for _ in range(rng.randint(1, 5))])
    last = file.state().last_seq
    assert all(numbers(path, after) == list(range(after + 1, last + 1)) for after in range(last + 2))


def test_pieces_end_at_line_ends(path: Path) -> None:
    EventFile(path).append([b'"fill":"%s"}' % (b"x" * 300_000), *[record(n) for n in range(20_000)]])
    pieces = list(EventFile(path).read_from())
    assert len(pieces) > 3
    assert all(piece.endswith(b"\n") for piece in pieces)


def test_a_closed_log_takes_no_more_records_and_its_end_is_in_the_file_itself(path: Path) -> None:
    file = EventFile(path)
    file.append([record(0)])
    file.append([record(1)], close=True, durable=True)
    state_path(path).unlink()
    assert read_state(path).closed
    assert [event["n"] for event in stored(path)] == [0, 1]
    for late in (file, EventFile(path)):
        with pytest.raises(Conflict) as refused:
            late.append([record(2)])
        assert refused.value.exact_code == "log.closed"


def test_a_closed_log_that_was_compressed_takes_no_more_records(path: Path) -> None:
    path.parent.mkdir()
    path.with_name(path.name + ".zst").touch()
    with pytest.raises(Conflict):
        EventFile(path).append([record(0)])
    assert not path.exists()


@pytest.mark.parametrize("lost", ["nothing", "state", "half a state"])
def test_a_crash_at_any_byte_of_an_append_leaves_no_gap_and_no_duplicate(path: Path, lost: str) -> None:
    file = EventFile(path)
    file.append([record(n) for n in range(3)])
    before, old_state = path.read_bytes(), state_path(path).read_bytes()
    file.append([record(n) for n in range(3, 6)], close=True)
    after = path.read_bytes()
    states = {"nothing": old_state, "state": b"", "half a state": old_state[:20]}
    for cut in range(len(before), len(after) + 1):
        path.write_bytes(after[:cut])
        state_path(path).write_bytes(states[lost])
        whole = after[:cut].count(b"\n")
        assert EventFile(path).repair() == FileState(whole, after.rfind(b"\n", 0, cut) + 1, closed=cut == len(after))
        if cut < len(after):
            assert EventFile(path).append([record(9)]) == whole + 1
            whole += 1
        assert numbers(path) == list(range(1, whole + 1))


def test_readers_see_nothing_of_an_append_that_is_not_done(path: Path) -> None:
    EventFile(path).append([record(0)])
    with path.open("ab") as half:
        fcntl.flock(half, fcntl.LOCK_EX)
        half.write(b'{"seq":2,"n":1}\n{"seq":3,')
        half.flush()
        assert numbers(path) == [1]
    # The writer is dead: its whole line counts, for readers too, though nobody may append any more.
    assert numbers(path) == [1, 2]
    assert EventFile(path).append([record(2)]) == 3
    assert numbers(path) == [1, 2, 3]


def test_the_end_of_a_log_is_known_although_its_writer_died_before_saying_so(path: Path) -> None:
    file = EventFile(path)
    file.append([record(0)])
    before = state_path(path).read_bytes()
    file.append([record(1)], close=True)
    state_path(path).write_bytes(before)
    assert read_state(path) == FileState(2, path.stat().st_size, closed=True)


@pytest.mark.parametrize("tail", [b"\0" * 5000, b'{"seq":9,"type":"x"}\n', b"garbage\n", b"\n\n"])
def test_what_a_power_cut_left_at_the_end_is_cut(path: Path, tail: bytes) -> None:
    EventFile(path).append([record(0), record(1)])
    with path.open("ab") as file:
        file.write(tail)
    assert EventFile(path).append([record(2)]) == 3
    assert [event["n"] for event in stored(path)] == [0, 1, 2]


def test_a_state_ahead_of_the_file_is_not_believed(path: Path) -> None:
    EventFile(path).append([record(n) for n in range(5)])
    cut = path.read_bytes().rfind(b"\n", 0, -1) + 8
    os.truncate(path, cut)
    assert numbers(path) == [1, 2, 3, 4]
    assert EventFile(path).append([record(9)]) == 5
    assert numbers(path) == [1, 2, 3, 4, 5]


def test_several_processes_and_threads_append_one_dense_order(path: Path) -> None:
    processes = [appender(path, f"p{n}", batch=7, size=50, rounds=200) for n in range(3)]
    file = EventFile(path)
    threads = [
        threading.Thread(target=lambda: [file.append([record(n)], durable=n % 50 == 0) for n in range(200)])
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    for thread in threads:
        thread.join()
    everything = stored(path)
    assert [event["seq"] for event in everything] == list(range(1, 3 * 1400 + 400 + 1))
    for name in ("p0", "p1", "p2"):
        assert [event["n"] for event in everything if event.get("by") == name] == list(range(1400))


def test_appenders_killed_at_random_points_leave_no_gap_and_no_duplicate(path: Path) -> None:
    rng = random.Random(7)  # noqa: S311
    expected: dict[str, int] = {}
    for kill in range(40):
        # Appends of megabytes, so that many kills fall into a write.
        process = appender(path, f"victim{kill}", batch=rng.choice([1, 300, 5000]), size=200, rounds=10_000)
        while process.poll() is None and read_state(path).last_seq == sum(expected.values()):
            time.sleep(0.001)
        time.sleep(rng.random() * 0.03)
        process.kill()
        process.wait()
        EventFile(path).append([b'"by":"survivor","n":%d}' % kill])
        expected[f"victim{kill}"] = read_state(path).last_seq - sum(expected.values())
    with path.open("rb") as file:
        state = scan(file.fileno(), FileState(), path.stat().st_size)
    assert state == read_state(path)
    assert state.size == path.stat().st_size
    seen: dict[str, int] = {}
    for piece in EventFile(path).read_from():
        for event in map(json.loads, piece.split(b"\n")[:-1]):
            assert event["n"] == seen.get(event["by"], 0)
            seen[event["by"]] = event["n"] + 1
    assert seen.pop("survivor") == 40
    assert sum(seen.values()) == state.last_seq - 40


def test_a_full_disk_takes_all_of_an_append_or_nothing(path: Path) -> None:
    # A file size limit refuses a write in the middle, as a full disk does.
    script = (
        "import resource, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from headrace.eventfile import EventFile; file = EventFile(Path(sys.argv[2]))\n"
        "file.append([b'\"n\":%d}' % n for n in range(100)])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))\n"
        "try: file.append([b'\"n\":%d}' % n for n in range(100, 1000)])\n"
        "except OSError: resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)\n"
        "else: sys.exit(3)\n"
        "file.append([b'\"n\":100}'])"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", script, SOURCE, str(path)], check=True)
    assert [(event["seq"], event["n"]) for event in stored(path)] == [(n + 1, n) for n in range(101)]


def test_an_append_whose_state_could_not_be_recorded_is_there_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = EventFile(path)
    file.append([b'"n":0}'])

    def broken(self: EventFile, state: FileState) -> None:
        raise OSError(errno.EROFS, "read-only")

    with monkeypatch.context() as disk:
        # The file system turned read-only between the two: what is written can't be taken back either.
        disk.setattr(EventFile, "_record", broken)
        disk.setattr(os, "ftruncate", broken)
        assert file.append([b'"n":1}']) == 2
        assert EventFile(path).state().last_seq == 2
    assert EventFile(path).append([b'"n":2}']) == 3
    assert [event["n"] for event in stored(path)] == [0, 1, 2]


def test_a_forked_child_and_its_parent_exclude_each_other(path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from headrace.eventfile import EventFile; file = EventFile(Path(sys.argv[2]))\n"
        "file.append([b'\"n\":0}'])\n"
        "child = os.fork()\n"
        'for n in range(300): file.append([b\'"n":%d,"fill":"%s"}\' % (n, b\'x\' * 2000)] * 10)\n'
        "if child: sys.exit(os.waitpid(child, 0)[1])"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", script, SOURCE, str(path)], check=True)
    assert numbers(path) == list(range(1, 6002))
