"""
Number 5: a process prints 1,000,000 lines at full speed: into the durable log, to 1 and to 100 followers.

    python benchmarks/logs.py [--lines 1000000] [--rounds 5] [--followers 1 100]

Limits, interleaved in the same run: the pipe alone (`wc -l` reads it), the pipe's chunks written to a file as they are, and
for delivery the kernel sending the finished file itself (`sendfile`) to as many clients. "stored" reads a finished log,
"live" follows one while it is written. Every round verifies the receipt, and that each follower got every byte.
"""

import argparse
import fcntl
import json
import os
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

BUILD = "build_01m7xxxxxxxxxxxxxxxxxxxxxx"
CHUNK = 64 * 1024
F_SETPIPE_SZ = 1031


class Span(NamedTuple):
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def produce(lines: int) -> None:
    """The program under the build: all lines made beforehand, then printed as fast as the pipe takes them."""
    data = memoryview(b"".join(b"[build] transforming module %07d of the app\n" % n for n in range(lines)))
    sys.stdin.buffer.read(1)
    while data:
        data = data[os.write(1, data[:CHUNK]) :]


@contextmanager
def producing(lines: int) -> Iterator[int]:
    """A producer that is ready, and the pipe that it writes to from the moment on that this is entered."""
    command = [sys.executable, __file__, "--part", "produce", "--lines", str(lines)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        fcntl.fcntl(process.stdout, F_SETPIPE_SZ, 1024 * 1024)
        time.sleep(1.0 + lines / 2_000_000)
        process.stdin.write(b"g")
        process.stdin.close()
        yield process.stdout.fileno()


def to_wc(lines: int, _: Path) -> Span:
    with producing(lines) as pipe:
        began = time.perf_counter()
        counted = subprocess.run(["wc", "-l"], stdin=pipe, check=True, capture_output=True).stdout
        span = Span(began, time.perf_counter())
    assert int(counted) == lines
    return span


def to_raw_file(lines: int, directory: Path) -> Span:
    with producing(lines) as pipe, (directory / "raw").open("wb", buffering=0) as file:
        began = time.perf_counter()
        while chunk := os.read(pipe, CHUNK):
            file.write(chunk)
        return Span(began, time.perf_counter())


def to_log(lines: int, directory: Path) -> Span:
    """What a supervisor does: chunks in, counted, capped and escaped, and appended as records as they come."""
    from headrace.eventfile import EventFile
    from headrace.executor._output import Output, now
    from headrace.loglines import of_build

    file = EventFile(directory / f"{BUILD}.ndjson")
    output = Output(file, of_build(BUILD, "build"), log_bytes=2**40)
    with producing(lines) as pipe:
        began = time.perf_counter()
        while chunk := os.read(pipe, CHUNK):
            output.feed("stdout", chunk)
        output.close()
        receipt = output.receipt()
        event = {"ts": now(), "type": "build.command.completed", "build_id": BUILD, "step": "build", **receipt}
        file.append([json.dumps(event).encode()[1:]], close=True)
        span = Span(began, time.perf_counter())
    assert receipt["lines"] == lines
    return span


def serve(directory: Path) -> None:
    """The API's stream response over the directory's logs, with the server that the product uses."""
    import asyncio

    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from headrace.api.streams import Streams
    from headrace.events.file import FileEventLog

    async def run() -> None:
        streams = Streams(FileEventLog(directory))

        async def show(request: Request) -> Response:
            return await streams.respond(request, BUILD, follow=True)

        server = uvicorn.Server(uvicorn.Config(Starlette(routes=[Route("/", show)]), port=0, log_config=None))
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)
        await task

    asyncio.run(run())


def sendfile(directory: Path) -> None:
    """The limit: the kernel copies the finished file to each client's socket."""

    def send(client: socket.socket) -> None:
        with client, (directory / f"{BUILD}.ndjson").open("rb") as file:
            client.recv(CHUNK)
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            client.sendfile(file)

    listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
    print(listener.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=send, args=(listener.accept()[0],), daemon=True).start()


def follow(port: int, count: int) -> None:
    """Clients in one process. Prints `ready` when all have an answer's head, then the fewest bytes that one of them got."""
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    bodies = [Body() for _ in clients]
    selector = selectors.DefaultSelector()
    for client, body in zip(clients, bodies, strict=True):
        selector.register(client, selectors.EVENT_READ, body)
    buffer = bytearray(1024 * 1024)
    announced = False
    while selector.get_map():
        for key, _ in selector.select():
            got = os.readv(key.fd, [buffer])
            key.data.take(memoryview(buffer)[:got])
            if not got:
                selector.unregister(key.fd)
        if not announced and all(body.headed for body in bodies):
            announced = True
            print("ready", flush=True)
    print(min(body.length for body in bodies), max(body.length for body in bodies), flush=True)


class Body:
    """Counts the bytes of an answer's body, chunked or not."""

    def __init__(self) -> None:
        self.headed = self.chunked = False
        self.length = 0
        self._rest = b""
        self._left = 0

    def take(self, data: memoryview) -> None:
        if not self.headed:
            self._rest += bytes(data)
            head, found, rest = self._rest.partition(b"\r\n\r\n")
            if not found:
                return
            self.headed, self.chunked, self._rest = True, b"chunked" in head.lower(), b""
            data = memoryview(rest)
        if not self.chunked:
            self.length += len(data)
            return
        while data:
            if self._left == 0:
                # The end of the last chunk and the size of the next one: `\r\n1f\r\n`.
                self._rest += bytes(data[:1])
                data = data[1:]
                if self._rest.endswith(b"\n") and self._rest.strip():
                    self._left, self._rest = int(self._rest, 16), b""
                    self.length += self._left
                    if self._left == 0:
                        return
            else:
                self._left -= (taken := min(self._left, len(data)))
                data = data[taken:]


@contextmanager
def part(name: str, directory: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A server in a process of its own, and its port."""
    command = [sys.executable, __file__, "--part", name, "--directory", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def followed(port: int, count: int, write: Callable[[], Span] | None = None) -> tuple[float, int, Span]:
    """
    Seconds until all followers have everything, and the bytes that each got. With `write` they are there before it, and
    the time begins with its first byte.
    """
    command = [sys.executable, __file__, "--part", "follow", "--port", str(port), "--count", str(count)]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            span = write() if write else Span(began, began)
        except BaseException:
            process.kill()  # its followers would wait for ever
            raise
        least, most = map(int, process.stdout.readline().split())
        took = time.perf_counter() - span.began
    assert least == most, "a follower lost something"
    return took, least, span


def delivery(lines: int, count: int, directory: Path, results: dict[str, list[float]]) -> None:
    for name, label in (("sendfile", f"limit: sendfile to {count}"), ("serve", f"stored, to {count}")):
        with part(name, directory) as (server, port):
            took, got, _ = followed(port, count)
            assert got == (directory / f"{BUILD}.ndjson").stat().st_size
            results.setdefault(label, []).append(lines * count / took)
            if name == "serve":
                results.setdefault("server's peak memory, MiB", []).append(peak_mib(server.pid))


def live(lines: int, count: int, directory: Path, results: dict[str, list[float]]) -> None:
    shutil.rmtree(directory)
    directory.mkdir()
    with part("serve", directory) as (server, port):
        took, got, span = followed(port, count, lambda: to_log(lines, directory))
        assert got == (directory / f"{BUILD}.ndjson").stat().st_size
        results.setdefault(f"live, to {count}", []).append(lines * count / took)
        results.setdefault(f"live, into the log beside {count}", []).append(lines / span.seconds)
        results.setdefault("server's peak memory, MiB", []).append(peak_mib(server.pid))


def peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def check_receipt(directory: Path, lines: int) -> None:
    from headrace.eventfile import EventFile
    from headrace.logreader import verify

    verification = verify(EventFile(directory / f"{BUILD}.ndjson").read_from())
    assert not verification.problems, verification.problems
    assert verification.receipt.lines == lines


def measure(lines: int, rounds: int, followers: list[int]) -> dict[str, list[float]]:
    results: dict[str, list[float]] = {}
    ways = {"limit: pipe to wc -l": to_wc, "limit: chunks to a file": to_raw_file, "into the durable log": to_log}
    for _ in range(rounds):
        for name, way in ways.items():
            directory = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
            results.setdefault(name, []).append(lines / way(lines, directory).seconds)
            if way is to_log:
                check_receipt(directory, lines)
                for count in followers:
                    delivery(lines, count, directory, results)
                for count in followers:
                    live(lines, count, directory, results)
            shutil.rmtree(directory)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--followers", type=int, nargs="*", default=[1, 100])
    parser.add_argument("--part", choices=["produce", "serve", "sendfile", "follow"], help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    match given.part:
        case "produce":
            produce(given.lines)
        case "serve":
            serve(given.directory)
        case "sendfile":
            sendfile(given.directory)
        case "follow":
            follow(given.port, given.count)
        case _:
            report(measure(given.lines, given.rounds, given.followers), given.followers)


def report(results: dict[str, list[float]], followers: list[int]) -> None:
    medians = {name: statistics.median(values) for name, values in results.items()}
    print(f"{'lines/s':42} {'median':>14} {'lowest':>14} {'highest':>14}")
    for name, values in results.items():
        print(f"{name:42} {medians[name]:14,.0f} {min(values):14,.0f} {max(values):14,.0f}")
    ratios = {
        "log_lines_per_second": round(medians["into the durable log"]),
        "log_to_pipe_limit": round(medians["into the durable log"] / medians["limit: pipe to wc -l"], 3),
        "log_to_raw_chunks": round(medians["into the durable log"] / medians["limit: chunks to a file"], 3),
    }
    for count in followers:
        ratios[f"delivered_to_{count}"] = round(medians[f"stored, to {count}"])
        ratios[f"delivered_live_to_{count}"] = round(medians[f"live, to {count}"])
        ratios[f"stored_to_sendfile_{count}"] = round(
            medians[f"stored, to {count}"] / medians[f"limit: sendfile to {count}"], 3
        )
    print(json.dumps({"benchmark": "logs", **ratios}))


if __name__ == "__main__":
    main()
