"""
Many lines, followers that come and go, a server that dies again and again: is each line there once, in order, for everybody?

The producer is a build that prints numbered lines with a running checksum. Each follower checks what it gets as it gets it,
and comes back with the last number that it has.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx2
from tests.server import ENDED

from endurance.rig import Promised, Rig

_MASK = 0xFFFFFFFF
_WEEK = 7 * 24 * 3600.0


@dataclass
class Judge:
    """Takes records in their order, and knows what comes next. `wrong` is the first fault: lost, doubled or reordered."""

    last: int = 0
    lines: int = 0
    total: int = 0
    ended: bool = False
    wrong: str = ""

    def take(self, record: bytes) -> None:
        event = json.loads(record)
        if event["seq"] != self.last + 1:
            self._blame(f"event {event['seq']} after {self.last}")
        self.last = event["seq"]
        if event["type"] == "build.log" and event["line"].startswith("build "):
            self.total = (self.total * 31 + self.lines) & _MASK
            if event["line"] != f"build {self.lines} {self.total}":
                self._blame(f"{event['line']!r} instead of line {self.lines}")
            self.lines += 1
        elif event["type"] == "build.completed":
            self.ended = True

    def _blame(self, what: str) -> None:
        self.wrong = self.wrong or what


@dataclass
class Follower:
    """Reads to the end of the log; cuts itself off now and then, as clients are cut off."""

    rig: Rig
    build: Promised
    chance: random.Random
    #: How often it leaves of its own accord, at moments that are spread over so many lines.
    leaves: int
    lines: int
    judge: Judge = field(default_factory=Judge)
    connections: int = 0
    _left: int = 0
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        while not self.judge.ended and not self.judge.wrong:
            try:
                self._connect()
            except httpx2.TransportError:
                time.sleep(0.02)

    def _connect(self) -> None:
        server = self.rig.server
        token = (server.data_dir / "token").read_text()
        headers = {"Authorization": f"Bearer {token}", "Last-Event-ID": str(self.judge.last)}
        url = f"{server.url}/api/v1/builds/{self.build.id}/events?follow=true"
        last = (
            self.lines * (self._left + self.chance.random()) / self.leaves if self._left < self.leaves else float("inf")
        )
        with httpx2.Client(timeout=30) as http, http.stream("GET", url, headers=headers) as answer:
            if answer.status_code != 200:
                raise httpx2.ReadError(f"status {answer.status_code}")
            self.connections += 1
            for record in _records(answer):
                self.judge.take(record)
                if self.judge.lines > last:
                    self._left += 1
                    return


def _records(answer: httpx2.Response) -> Iterator[bytes]:
    """Whole lines. What a connection that was cut had begun is sent again to who comes back."""
    rest = b""
    for piece in answer.iter_bytes():
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole


@dataclass(frozen=True)
class Counted:
    lines: int
    kills: int
    reconnects: int
    followers: int
    seconds: float
    wrong: tuple[str, ...]


def count_lines(
    rig: Rig, *, lines: int, kills: int, reconnects: int, followers: int, seconds: float, say: Callable[[str], None]
) -> Counted:
    """
    Print so many lines in one build, kill the server so often, and have followers come back so often; for `seconds` at most,
    then what was counted until then is what is said.
    """
    seconds = min(seconds, _WEEK)  # no thread is waited for longer
    began = time.monotonic()
    # As fast as the pipe takes them, in pieces of 200.
    build = rig.counting(lines=lines, each=200, pause=0)
    rig.server.until_logged(build.id, '"build.log"')
    readers = [
        Follower(rig, build, random.Random(f"{rig.random.random()}"), -(-reconnects // followers), lines)
        for _ in range(followers)
    ]
    killed = 0
    while killed < kills and time.monotonic() - began < seconds:
        # So that the kills are spread over the lines, whatever the speed.
        goal = lines * (killed + 1) / (kills + 1)
        if not _reached(readers, goal, began + seconds) and rig.server.see(build.id)["status"] in ENDED:
            break
        rig.server.kill()
        rig.server.start()
        killed += 1
        say(
            f"killed {killed} times at {readers[0].judge.lines} lines, {sum(r.connections for r in readers)} connections"
        )
    for reader in readers:
        reader.thread.join(max(1.0, began + seconds - time.monotonic()))
    wrong = [reader.judge.wrong for reader in readers if reader.judge.wrong]
    least = min(reader.judge.lines for reader in readers)
    if least < lines and not wrong and time.monotonic() - began < seconds:
        wrong.append(f"a follower has {least} of {lines} lines")
    return Counted(
        lines=least,
        kills=killed,
        reconnects=sum(reader.connections - 1 for reader in readers),
        followers=followers,
        seconds=round(time.monotonic() - began, 1),
        wrong=tuple(wrong),
    )


def _reached(readers: list[Follower], goal: float, until: float) -> bool:
    """Whether a follower has seen so many lines; waits for it."""
    while max(reader.judge.lines for reader in readers) < goal:
        if time.monotonic() > until or all(not reader.thread.is_alive() for reader in readers):
            return False
        time.sleep(0.005)
    return True
