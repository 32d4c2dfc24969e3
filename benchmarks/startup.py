"""
Number 6: how long `headrace --help` and `headrace serve` take to start, and what the server weighs, with 0 and with 10,000
projects.

    python benchmarks/startup.py [--projects 10000] [--rounds 11]

The limit is the start of the same Python with nothing imported.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from headrace.model.ids import new_id
from headrace.model.project import Project
from headrace.records import projects
from headrace.records.database import Database, sqlite_url


def seconds_of(command: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def ready(data_dir: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds until the server answers, and its resident memory in MiB then."""
    announced = data_dir / "server.json"
    announced.unlink(missing_ok=True)
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "headrace", "serve"], env=environment, stdout=subprocess.DEVNULL, stderr=2
    )
    try:
        while not announced.exists():
            assert process.poll() is None, "the server did not start"
            time.sleep(0.002)
        took = time.perf_counter() - began
        status = Path(f"/proc/{process.pid}/status").read_text()
        kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        return took, kib / 1024
    finally:
        process.terminate()
        process.wait()


async def fill(data_dir: Path, count: int) -> None:
    db = await Database.open(sqlite_url(data_dir / "headrace.db"))
    try:
        async with db.write() as c:
            for number in range(count):
                await projects.insert(
                    c,
                    Project(
                        id=new_id("prj"),
                        workspace="default",
                        name=f"Project {number}",
                        slug=f"project-{number}",
                        created_at="2026-01-01T00:00:00.000+00:00",
                    ),
                )
    finally:
        await db.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--projects", type=int, default=10_000)
    arguments.add_argument("--rounds", type=int, default=11)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as place:
        data_dir = Path(place)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        environment |= {"HEADRACE_DATA_DIR": place, "HEADRACE_PORT": "0"}
        nothing, help_, empty = [], [], []
        for _ in range(options.rounds):
            nothing.append(seconds_of([sys.executable, "-c", ""], environment))
            help_.append(seconds_of([sys.executable, "-m", "headrace", "--help"], environment))
            empty.append(ready(data_dir, environment))
        asyncio.run(fill(data_dir, options.projects))
        full = [ready(data_dir, environment) for _ in range(options.rounds)]
    limit = statistics.median(nothing)
    rows = {
        "python, nothing imported": (limit, None),
        "headrace --help": (statistics.median(help_), None),
        "headrace serve, no project": (statistics.median(t for t, _ in empty), statistics.median(m for _, m in empty)),
        f"headrace serve, {options.projects} projects": (
            statistics.median(t for t, _ in full),
            statistics.median(m for _, m in full),
        ),
    }
    for name, (seconds, mib) in rows.items():
        memory = f"{mib:6.0f} MiB" if mib else ""
        print(f"{name:36} {seconds * 1000:7.0f} ms  {seconds / limit:6.1f} x  {memory}")
    print(json.dumps({"benchmark": "startup", "rows": dict(rows.items())}))


if __name__ == "__main__":
    main()
