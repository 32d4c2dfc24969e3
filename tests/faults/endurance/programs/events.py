"""Records that are appended to an event file."""

from collections.abc import Sequence
from pathlib import Path

from endurance.programs import begin, promise, ready
from headrace.eventfile import EventFile, read_state


def run(directory: Path, times: int) -> None:
    file = EventFile(directory / "log.ndjson")
    ready()
    for number in range(times):
        records = [b'"ts":"","type":"build.log","line":"%d.%d"}' % (number, part) for part in range(3)]
        first = file.append(records, durable=True)
        promise(str(first + len(records) - 1))


def check(directory: Path, promised: Sequence[str], *, rebooted: bool) -> None:
    path = directory / "log.ndjson"
    file = EventFile(path)
    seen = b"".join(file.read_from()).splitlines()
    assert [line.startswith(b'{"seq":%d,' % n) for n, line in enumerate(seen, 1)] == [True] * len(seen)
    assert len(seen) >= max((int(line) for line in promised), default=0), f"{len(seen)} records of {promised[-1:]}"
    first = file.append([b'"ts":"","type":"after"}'], close=True)
    assert first == len(seen) + 1 or len(seen) % 3, f"the next record is {first} after {len(seen)}"
    file.close()
    assert read_state(path).closed


if __name__ == "__main__":
    begin(run, check)
