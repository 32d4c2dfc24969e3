"""One build prints without measure, others are quiet: what the API and their followers notice of it."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import httpx2

from endurance.figures import percentile
from endurance.invariants import check_all
from endurance.projects import PAGE
from endurance.rig import Promised, Rig

#: Beside the one that floods.
_QUIET = 3
_LINE = "x" * 99


@dataclass
class Noticed:
    """Seconds that requests took, and from a line's own time to its arrival at a follower who was there."""

    answers: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)

    def p99(self) -> dict[str, float]:
        return {
            "api_p99": round(percentile(self.answers, 0.99), 4),
            "api_most": round(max(self.answers), 4),
            "lag_p99": round(percentile(self.lags, 0.99), 4),
        }


@dataclass(frozen=True)
class Flooded:
    printed: int
    #: Of the log, as text and as it lies on the disk.
    kept: int
    on_disk: int
    seconds: float
    quiet_builds: int
    alone: Noticed
    beside: Noticed


def flood(rig: Rig, size: int) -> Flooded:
    """`size` is in bytes. Raises AssertionError when a quiet build or the log of the loud one is not whole."""
    alone, beside = Noticed(), Noticed()
    _quietly(rig, alone, rounds=1)
    began = time.monotonic()
    loud = rig.script(f"yes {_LINE} | head -c {size}; {PAGE}")
    rig.server.until_logged(loud.id, '"build.log"')
    rounds = _quietly(rig, beside, until=lambda: rig.server.see(loud.id)["status"] != "running")
    row = rig.server.until_ended(loud.id, seconds=600)
    took = time.monotonic() - began
    assert row["status"] == "succeeded", row["failure"]
    end = next(event for event in rig.server.events(loud.id) if event.get("truncated_bytes"))
    assert end["bytes"] + end["truncated_bytes"] == size, end
    check_all(rig)
    log = rig.data_dir / "logs" / f"{loud.id}.ndjson"
    return Flooded(size, end["bytes"], log.stat().st_blocks * 512, took, rounds * _QUIET, alone, beside)


def _quietly(rig: Rig, noticed: Noticed, *, rounds: int = 1000, until: Callable[[], bool] = lambda: False) -> int:
    """Rounds of quiet builds, each followed, while somebody uses the API."""
    made, done = 0, threading.Event()
    with ThreadPoolExecutor(_QUIET + 1) as pool:
        user = pool.submit(_ask, rig, noticed, done)
        try:
            while made < rounds and not (made and until()):
                quiet = [rig.counting(lines=150) for _ in range(_QUIET)]
                for follower in [pool.submit(_follow, rig, build, noticed) for build in quiet]:
                    follower.result(120)
                made += 1
        finally:
            done.set()
        user.result(30)
    return made


def _ask(rig: Rig, noticed: Noticed, done: threading.Event) -> None:
    with _client(rig) as http:
        while not done.is_set():
            for path in ("/builds", "/previews"):
                began = time.monotonic()
                answer = http.get(path)
                assert answer.status_code == 200, answer.text
                noticed.answers.append(time.monotonic() - began)
            time.sleep(0.02)


def _follow(rig: Rig, build: Promised, noticed: Noticed) -> None:
    with _client(rig) as http, http.stream("GET", f"/builds/{build.id}/events?follow=true") as stream:
        since = time.time()
        for line in stream.iter_lines():
            event = json.loads(line)
            printed = datetime.fromisoformat(event["ts"]).timestamp()
            if event["type"] == "build.log" and printed > since:
                noticed.lags.append(time.time() - printed)


def _client(rig: Rig) -> httpx2.Client:
    return httpx2.Client(base_url=rig.server.http.base_url, headers=rig.server.http.headers, timeout=60)
