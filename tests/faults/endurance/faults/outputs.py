"""What commands print, and who reads it: floods, lines without an end, garbage; readers that are slow, many, or gone."""

import json
import os
import socket
import threading
import time
from urllib.parse import urlsplit

import httpx2

from endurance.injection import fault
from endurance.rig import Promised, Rig

_PRINT = "node -e 'const b = Buffer.alloc(65536, {fill}); {more} let n = {pieces}; (function f() {{ if (n-- > 0) process.stdout.write(b, f) }})()'"
_PAGE = "mkdir -p dist; echo '<h1>printed</h1>' > dist/index.html"


@fault("F32", "a flood of lines")
def flood(rig: Rig) -> None:
    # Twice of what a log keeps.
    _prints(rig, _PRINT.format(fill='"x".repeat(999) + "\\n"', more="", pieces=256))


@fault("F33", "a line without an end")
def endless_line(rig: Rig) -> None:
    _prints(rig, _PRINT.format(fill='"x"', more="", pieces=1600 if rig.long else 200))


@fault("F34", "random bytes")
def garbage(rig: Rig) -> None:
    _prints(rig, _PRINT.format(fill="0", more='require("crypto").randomFillSync(b);', pieces=64))


def _prints(rig: Rig, command: str) -> None:
    """And beside it a quiet build goes on as if nothing was."""
    loud = rig.script(f"{command}; {_PAGE}")
    rig.server.until_logged(loud.id, '"build.log"')
    quiet = rig.counting(lines=20)
    rig.server.until_ended(quiet.id, seconds=40)
    rig.server.until_ended(loud.id, seconds=60)


@fault("F50", "a reader takes a byte now and then, others go away without a word")
def slow_reader(rig: Rig) -> None:
    build = rig.counting(lines=150, each=20)
    before = _descriptors(rig)
    readers = [_open_stream(rig, build) for _ in range(20)]
    slow = readers.pop()
    for reader in readers:
        reader.recv(10)
        reader.close()
    for _ in range(10):
        slow.recv(1)
        time.sleep(0.05)
    row = rig.server.until_ended(build.id)
    assert row["status"] == "succeeded", row["failure"]
    slow.close()
    end = time.monotonic() + 10
    while _descriptors(rig) > before + 2 and time.monotonic() < end:
        time.sleep(0.1)
    assert _descriptors(rig) <= before + 2, f"{before} descriptors became {_descriptors(rig)}"


@fault("F4", "the server is killed while many read a stream", weight=2)
def readers_cut(rig: Rig) -> None:
    _followed(rig, rig.server.kill)


@fault("F5b", "the server ends while many read a stream")
def readers_sent_away(rig: Rig) -> None:
    _followed(rig, rig.server.stop)


def _followed(rig: Rig, end: "object") -> None:
    build = rig.counting(lines=120)
    followers = [Follower(rig, build) for _ in range(100 if rig.long else 10)]
    rig.server.until_logged(build.id, '"build.log"')
    rig.pause(0.5)
    assert callable(end)
    end()
    rig.server.start()
    for follower in followers:
        follower.check()


class Follower:
    """Reads a build's stream to its end, coming back with the last number it has whenever it is cut off."""

    def __init__(self, rig: Rig, build: Promised) -> None:
        self._rig, self._build = rig, build
        self.numbers: list[int] = []
        self.ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        give_up = time.monotonic() + 90
        while not self.ended and time.monotonic() < give_up:
            try:
                self._follow()
            except httpx2.TransportError:
                time.sleep(0.05)

    def _follow(self) -> None:
        token = (self._rig.data_dir / "token").read_text()
        headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
        if self.numbers:
            headers["Last-Event-ID"] = str(self.numbers[-1])
        url = f"{self._rig.server.url}/api/v1/builds/{self._build.id}/events?follow=true"
        with httpx2.Client(timeout=30) as http, http.stream("GET", url, headers=headers) as answer:
            if answer.status_code != 200:
                raise httpx2.ReadError(f"status {answer.status_code}")
            for line in answer.iter_lines():
                if line.startswith('data: {"seq"'):
                    self.numbers.append(json.loads(line[6:])["seq"])
                elif line == "event: end":
                    self.ended = True
                    return

    def check(self) -> None:
        self._thread.join(100)
        assert self.ended, f"a follower has no end: {self.numbers[-3:]}"
        assert self.numbers == list(range(1, len(self.numbers) + 1)), "a follower saw gaps or doubles"
        assert len(self.numbers) == len(self._rig.server.events(self._build.id)), "a follower saw less"


def _open_stream(rig: Rig, build: Promised) -> socket.socket:
    address = urlsplit(rig.server.url)
    assert address.hostname
    connection = socket.create_connection((address.hostname, address.port or 80), timeout=30)
    token = (rig.data_dir / "token").read_text()
    request = (
        f"GET /api/v1/builds/{build.id}/events?follow=true HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {token}\r\nAccept: text/event-stream\r\n\r\n"
    )
    connection.sendall(request.encode())
    return connection


def _descriptors(rig: Rig) -> int:
    return len(os.listdir(f"/proc/{rig.server.pid}/fd"))
