"""
Thousands who follow one build: each checks what it gets, all are cut off at once, and come back with the last number they have.

A follower's lag is the time from a line's own time stamp to its arrival, of lines that were printed while it was connected.
"""

import asyncio
import hashlib
import math
import random
import resource
import time
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from tests.server import ENDED

from endurance.figures import percentile
from endurance.rig import Promised, Rig

#: As a browser does after the `retry:` that a stream begins with.
_COME_BACK_SECONDS = (1.0, 4.0)
_AT_ONCE = 200
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Followed:
    followers: int
    lines: int
    #: Of all followers, in seconds; over the time in which all were connected, and over all of it.
    lag_p50: float
    lag_p99: float
    lag_most: float
    #: Of the server, in MiB.
    rss_before: int
    rss_most: int
    #: From the moment in which all were cut off until the last one had its next record.
    all_back_seconds: float
    wrong: tuple[str, ...]


@dataclass
class Follower:
    last: int = 0
    ended: bool = False
    wrong: str = ""
    #: The first record after the cut, by `time.time`.
    back: float = 0.0
    seen: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    task: asyncio.Task[None] | None = None

    def take(self, records: list[bytes]) -> None:
        for record in records:
            self.last += 1
            if not record.startswith(b'{"seq":%d,' % self.last):
                self.wrong = self.wrong or f"{record[:60]!r} came as number {self.last}"
            self.seen.update(record.rstrip())
        self.ended = b'"type":"build.completed"' in records[-1]


class Crowd:
    def __init__(self, rig: Rig, build: Promised, count: int, chance: random.Random) -> None:
        address = urlsplit(rig.server.url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._token = (rig.data_dir / "token").read_text()
        self._build = build.id
        self._chance = chance
        self._doors = asyncio.Semaphore(_AT_ONCE)
        self.followers = [Follower() for _ in range(count)]
        self.lags: list[float] = []

    @property
    def arrived(self) -> int:
        return sum(one.last > 0 for one in self.followers)

    @property
    def left(self) -> list[Follower]:
        return [one for one in self.followers if not one.ended and not one.wrong]

    def gather(self) -> None:
        for one in self.followers:
            one.task = asyncio.create_task(self._follow(one, pause=0))

    def cut(self) -> None:
        """All at once, without a word."""
        for one in self.left:
            if one.task:
                one.task.cancel()
            one.back = 0.0
            one.task = asyncio.create_task(self._follow(one, pause=self._chance.uniform(*_COME_BACK_SECONDS)))

    async def _follow(self, one: Follower, *, pause: float) -> None:
        while not one.ended and not one.wrong:
            await asyncio.sleep(pause)
            try:
                await self._connect(one)
            except OSError:
                pause = self._chance.uniform(*_COME_BACK_SECONDS)

    async def _connect(self, one: Follower) -> None:
        async with self._doors:
            reader, writer = await asyncio.open_connection(self._host, self._port, limit=1 << 20)
        try:
            writer.write(
                f"GET /api/v1/builds/{self._build}/events?follow=true HTTP/1.1\r\nHost: localhost\r\n"
                f"Authorization: Bearer {self._token}\r\nLast-Event-ID: {one.last}\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                raise ConnectionError(head[:60])
            await self._read(one, reader)
        except asyncio.IncompleteReadError as exc:
            raise ConnectionError("cut off") from exc
        finally:
            writer.transport.abort()

    async def _read(self, one: Follower, reader: asyncio.StreamReader) -> None:
        since, rest = time.time(), b""
        while not one.ended and not one.wrong:
            size = int(await reader.readuntil(b"\r\n"), 16)
            piece = rest + (await reader.readexactly(size + 2))[:-2]
            if not size:
                raise ConnectionError("ended")
            *records, rest = piece.split(b"\n")
            if records := [record for record in records if record]:
                now = time.time()
                one.back = one.back or now
                one.take(records)
                if (printed := _time_of(records[-1])) > since:
                    self.lags.append(now - printed)


def _time_of(record: bytes) -> float:
    at = record.find(b'"ts":"')
    return _seconds(record[at + 6 : record.index(b'"', at + 6)])


@lru_cache(maxsize=1000)
def _seconds(stamp: bytes) -> float:
    return datetime.fromisoformat(stamp.decode()).timestamp()


def follow(rig: Rig, *, count: int, seconds: float) -> Followed:
    """So many followers of a build that prints for so long once all have come; half way all are cut off."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * count + 1000)), hard))
    return asyncio.run(_follow(rig, count, seconds))


async def _follow(rig: Rig, count: int, seconds: float) -> Followed:
    # Prints until it is told that there are enough lines.
    enough = rig.place / "enough"
    build = rig.script(_PRINT.format(enough=enough))
    await asyncio.to_thread(rig.server.until_logged, build.id, '"build.log"')
    before = most = _rss(rig)
    crowd = Crowd(rig, build, count, rig.random)
    crowd.gather()
    end = time.monotonic() + 60 + count / 20
    while crowd.arrived < count and time.monotonic() < end:
        await asyncio.sleep(_LOOK_SECONDS)
    wrong = [] if crowd.arrived == count else [f"only {crowd.arrived} of {count} have come"]
    crowd.lags.clear()
    most = max(most, await _watched(rig, seconds / 2))
    cut = time.time()
    crowd.cut()
    most = max(most, await _watched(rig, _COME_BACK_SECONDS[1]))
    while any(not one.back for one in crowd.left) and time.time() < cut + 60:
        most = max(most, await _watched(rig, _LOOK_SECONDS))
    most = max(most, await _watched(rig, seconds / 2))
    enough.touch()
    while crowd.left and time.monotonic() < end + 60 + seconds:
        most = max(most, await _watched(rig, _LOOK_SECONDS))
    log = await asyncio.to_thread(_stored, rig, build)
    digest = hashlib.sha256(b"".join(record.rstrip() for record in log)).hexdigest()
    wrong += [one.wrong for one in crowd.followers if one.wrong]
    wrong += [f"{len(crowd.left)} followers have no end"] if crowd.left else []
    wrong += ["a follower has seen other records"] * sum(
        one.ended and one.seen.hexdigest() != digest for one in crowd.followers
    )
    return Followed(
        followers=count,
        lines=sum(b'"type":"build.log"' in record for record in log),
        lag_p50=round(percentile(crowd.lags or [math.inf], 0.5), 3),
        lag_p99=round(percentile(crowd.lags or [math.inf], 0.99), 3),
        lag_most=round(max(crowd.lags, default=math.inf), 3),
        rss_before=before,
        rss_most=most,
        all_back_seconds=round(max(one.back for one in crowd.followers) - cut, 1),
        wrong=tuple(wrong[:5]),
    )


#: Five lines twice a second.
_PRINT = """
node -e 'const fs = require("fs"); let n = 0;
(function tick() {{
  for (let i = 0; i < 5; i++) console.log("line " + n++);
  if (!fs.existsSync("{enough}")) return setTimeout(tick, 500);
  fs.mkdirSync("dist", {{recursive: true}}); fs.writeFileSync("dist/index.html", "<h1>followed</h1>");
}})()'
"""


async def _watched(rig: Rig, seconds: float) -> int:
    """The most memory of the server in this time."""
    end, most = time.monotonic() + seconds, 0
    while True:
        most = max(most, _rss(rig))
        if time.monotonic() >= end:
            return most
        await asyncio.sleep(min(_LOOK_SECONDS, seconds))


def _rss(rig: Rig) -> int:
    for line in Path(f"/proc/{rig.server.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    return 0


def _stored(rig: Rig, build: Promised) -> list[bytes]:
    rig.server.until_ended(build.id)
    assert rig.server.see(build.id)["status"] in ENDED
    answer = rig.server.ask("GET", f"/builds/{build.id}/events")
    return [record for record in answer.content.split(b"\n") if record]
