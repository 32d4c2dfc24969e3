"""
Hot small files: requests/s of the edge, beside plain nginx (the limit) and Starlette's StaticFiles.

    python benchmarks/serving.py [--rounds 5] [--seconds 2]

Each server is one process on loopback; wrk with one thread and 32 connections asks each in turn, for a 2 KB page and a
60 KB script, and the whole is repeated, so that a busy moment of the machine hits all alike. Medians count; the servers' processor time for a request is printed too,
because it is the same on a busy machine. The edge
serves from the local store through its real protocol; nginx has its file cache on, and no access log. Without nginx
installed only the other comparison is made.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

SIZES = {"index.html": 2 * 1024, "assets/index-BF8QNONU.js": 60 * 1024}
#: What is asked for.
FILES = {"2 KB": "", "60 KB": "assets/index-BF8QNONU.js"}
HOST = "bench.localhost"

NGINX = """
daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
  open_file_cache max=1000 inactive=60s; open_file_cache_valid 60s;
  types {{ text/html html; text/javascript js; }}
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
  server {{ listen 127.0.0.1:{port}; root {root}/files; }}
}}
"""


class Server(NamedTuple):
    pid: int
    port: int


class Rate(NamedTuple):
    per_second: float
    #: Processor time of the server for one request.
    microseconds: float


def write_files(root: Path) -> None:
    for name, size in SIZES.items():
        path = root / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Does not shrink, so that all servers send the same bytes.
        path.write_bytes(os.urandom(size))
    for directory in (root, *root.rglob("*")):
        directory.chmod(0o755)


def serve(kind: str, root: Path, port: int) -> None:
    """A server in this process, until it is killed."""
    import uvicorn

    if kind == "static":
        from starlette.staticfiles import StaticFiles

        uvicorn.run(StaticFiles(directory=root / "files", html=True), port=port, log_level="error", access_log=False)
        return
    edge, http = asyncio.run(_edge(root))
    uvicorn.run(edge, http=http, port=port, log_level="error", access_log=False, server_header=False)


async def _edge(root: Path):  # type: ignore[no-untyped-def]
    from headrace.checks.base import Output, OutputFile
    from headrace.edge.edge import Edge, Target
    from headrace.edge.protocol import protocol_for
    from headrace.model.plan import BuildPlan
    from headrace.pipeline.manifest import make_artifact
    from headrace.registry import find

    store = find("store", "local")(root / "blobs")
    files = tuple(OutputFile(path=name, size=size) for name, size in sorted(SIZES.items()))
    descriptor = os.open(root / "files", os.O_RDONLY | os.O_DIRECTORY)
    output = Output(directory="", files=files, bytes=sum(SIZES.values()))
    artifact, _ = await make_artifact(store, descriptor, output, BuildPlan(framework="static", output=""))
    os.close(descriptor)

    async def resolve(label: str) -> Target | None:
        return Target(deployment_id="dpl_bench", artifact=artifact.digest) if label == "bench" else None

    async def nobody(*_: object) -> None: ...

    edge = Edge(store, resolve, nobody)
    return edge, protocol_for(edge)


@contextmanager
def running(argv: list[str], port: int) -> Iterator[int]:
    """The id of the process, once it listens."""
    process = subprocess.Popen(argv)
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, argv
            time.sleep(0.02)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(server: Server, path: str, seconds: int) -> Rate:
    """Fails when an answer is not a 200."""
    url = f"http://127.0.0.1:{server.port}/{path}"
    before = processor_seconds(server.pid)
    argv = ["wrk", "-t1", "-c32", f"-d{seconds}s", "-H", f"Host: {HOST}", url]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    used = processor_seconds(server.pid) - before
    assert "Non-2xx" not in said, said
    rate, count = re.search(r"Requests/sec:\s+([0-9.]+)", said), re.search(r"([0-9]+) requests in", said)
    assert rate, said
    assert count, said
    return Rate(float(rate[1]), used / int(count[1]) * 1e6)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def servers(root: Path, start: Callable[[list[str], int], int]) -> dict[str, Server]:
    """Start what there is to compare."""
    found = {}
    for name in ("edge", "static"):
        port = free_port()
        found[name] = Server(start([sys.executable, __file__, "--serve", name, str(root), str(port)], port), port)
    if not shutil.which("nginx"):
        print("nginx is not installed: no comparison with it (apt-get install nginx-light)")
        return found
    config, port = root / "nginx.conf", free_port()
    config.write_text(NGINX.format(root=root, port=port))
    found["nginx"] = Server(start(["nginx", "-c", str(config)], port), port)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        kind, root, port = options.serve
        serve(kind, Path(root), int(port))
        return
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        root = Path(directory)
        write_files(root)
        found = servers(root, lambda argv, port: stack.enter_context(running(argv, port)))
        rates: dict[tuple[str, str], list[Rate]] = {}
        for path in FILES.values():
            for server in found.values():
                measure(server, path, 1)
            for _ in range(options.rounds):
                for name, server in found.items():
                    rates.setdefault((name, path), []).append(measure(server, path, options.seconds))
    report(rates)


def report(rates: dict[tuple[str, str], list[Rate]]) -> None:
    result: dict[str, float] = {}
    for label, path in FILES.items():
        of = {name: values for (name, at), values in rates.items() if at == path}
        speed = {name: statistics.median(rate.per_second for rate in values) for name, values in of.items()}
        cost = {name: statistics.median(rate.microseconds for rate in values) for name, values in of.items()}
        print(f"{label}: " + ", ".join(f"{name} {speed[name]:,.0f}/s at {cost[name]:.1f} us CPU" for name in of))
        key = label.replace(" ", "_").lower()
        result |= {f"{name}_{key}": round(value) for name, value in speed.items()}
        for other, aim in (("nginx", 0.5), ("static", 6)):
            if other in of:
                ratio, cheaper = speed["edge"] / speed[other], cost[other] / cost["edge"]
                result |= {
                    f"edge_to_{other}_{key}": round(ratio, 2),
                    f"edge_to_{other}_{key}_by_cpu": round(cheaper, 2),
                }
                print(f"  edge / {other}: {ratio:.2f}, by CPU time {cheaper:.2f} (aim: at least {aim})")
    print(json.dumps({"benchmark": "serving", **result}))


if __name__ == "__main__":
    main()
