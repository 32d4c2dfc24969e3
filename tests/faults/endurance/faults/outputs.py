"""What commands print, and who reads it: floods, lines without an end, garbage; readers that are slow, many, or gone."""

import json
import os
import socket
import struct
import threading
import time
from urllib.parse import urlsplit

import httpx2

from endurance.injection import fault
from endurance.losses import Loss, on_the_way_to, sent_again
from endurance.projects import PAGE
from endurance.rig import Promised, Rig

_RESET_AFTER_LINES = 40
_PRINT = "node -e 'const b = Buffer.alloc(65536, {fill}); {more} let n = {pieces}; (function f() {{ if (n-- > 0) process.stdout.write(b, f) }})()'"


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
    loud = rig.script(f"{command}; {PAGE}")
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


@fault("F54", "a fifth of the packets is lost, connections are reset", weight=2)
def packets_lost(rig: Rig) -> None:
    loss, before = Loss(0.2), sent_again()
    with on_the_way_to(rig.server, loss), rig.server.asked_through(loss.transport()):
        builds = [rig.counting(lines=60), rig.any_build()]
        followers = [Follower(rig, build, loss=loss, resets=number % 2 == 0) for build in builds for number in range(5)]
        for build in builds:
            rig.server.until_ended(build.id)
        for follower in followers:
            follower.check()
    assert sent_again() > before + 50, "hardly anything was lost"


class Follower:
    """
    Reads a build's stream to its end, coming back with the last number it has whenever it is cut off. With `resets` it cuts
    itself off, again and again.
    """

    def __init__(self, rig: Rig, build: Promised, *, loss: Loss | None = None, resets: bool = False) -> None:
        self._rig, self._build = rig, build
        self._loss, self._resets = loss or Loss(0), resets
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
        with (
            httpx2.Client(timeout=30, transport=self._loss.transport()) as http,
            http.stream("GET", url, headers=headers) as answer,
        ):
            if answer.status_code != 200:
                raise httpx2.ReadError(f"status {answer.status_code}")
            for count, line in enumerate(answer.iter_lines()):
                if self._resets and count == _RESET_AFTER_LINES:
                    _reset(answer)
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


def _reset(answer: httpx2.Response) -> None:
    """End the connection as a router that forgot it would: by RST."""
    connection: socket.socket = answer.extensions["network_stream"].get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise httpx2.ReadError("reset")


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
