"""
Numbers 3 and 4: a forced build of the Vite React template against the bare command, and the same inputs again.

    python benchmarks/builds.py [--rounds 15]

The limit is the bare command, `npm run build` with the same Node in a plain directory, interleaved with Headrace's builds.
Headrace's own time is everything between the request's first byte and the answer that the build has ended, less the
bare command's median.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
from _server import EXAMPLES, server

from headrace.source.archive import pack_directory

EXAMPLE = EXAMPLES / "react-vite"


def build(client: httpx2.Client, project: str, **options: Any) -> tuple[float, dict[str, Any]]:
    """Seconds until the answer that the build has ended, and the build."""
    began = time.perf_counter()
    answer = client.post(f"/projects/{project}/builds", json={"options": {"wait": True, **options}})
    took = time.perf_counter() - began
    body: dict[str, Any] = answer.json()
    assert body.get("status") == "succeeded", body
    return took, body


def bare_directory(where: Path, data_dir: Path) -> tuple[Path, dict[str, str]]:
    """The template with its dependencies installed, and an environment with the same Node that Headrace uses."""
    directory = where / "bare"
    shutil.copytree(EXAMPLE, directory)
    tools = sorted((data_dir / "tools").glob("*/tree/bin"))
    path = ":".join([*(str(tool) for tool in tools), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "CI": "true"}
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=directory, env=environment, check=True, stdout=2)
    return directory, environment


def bare(directory: Path, environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(["npm", "run", "build"], cwd=directory, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=15)
    rounds = arguments.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as place:
        data_dir = Path(place) / "data"
        with server(data_dir) as client:
            measure(client, Path(place), data_dir, rounds)


def measure(client: httpx2.Client, place: Path, data_dir: Path, rounds: int) -> None:
    project = client.post("/workspaces/default/projects", json={"name": "react-vite"}).json()["id"]
    packed = b"".join(pack_directory(EXAMPLE))
    client.post(
        f"/projects/{project}/versions", content=packed, headers={"Content-Type": "application/x-tar"}
    ).raise_for_status()
    cold, _ = build(client, project)
    directory, environment = bare_directory(place, data_dir)
    bare_times, forced, inside, again = [], [], [], []
    for _ in range(rounds):
        bare_times.append(bare(directory, environment))
        took, body = build(client, project, force=True)
        forced.append(took)
        inside.append(next(c["seconds"] for c in body["commands"] if c["step"] == "build"))
        again.append(build(client, project)[0])
    report(cold, bare_times, forced, inside, again)


def report(cold: float, bare_times: list[float], forced: list[float], inside: list[float], again: list[float]) -> None:
    limit, total = statistics.median(bare_times), statistics.median(forced)
    rows = {
        "first build, nothing cached": cold,
        "bare `npm run build`": limit,
        "forced build, caches warm": total,
        "... of it the command, with its sandbox": statistics.median(inside),
        "the same inputs again": statistics.median(again),
    }
    for name, seconds in rows.items():
        print(f"{name:42} {seconds * 1000:8.0f} ms")
    print(f"{'own time (total less bare)':42} {(total - limit) * 1000:8.0f} ms   aim: at most 250 ms")
    print(f"{'total / bare':42} {total / limit:8.2f}      aim: at most 1.3")
    print(
        json.dumps(
            {
                "benchmark": "builds",
                "own_ms": round((total - limit) * 1000),
                "ratio": round(total / limit, 3),
                "again_ms": round(statistics.median(again) * 1000, 1),
                "again_max_ms": round(max(again) * 1000, 1),
                "cold_ms": round(cold * 1000),
                "bare_ms": round(limit * 1000),
            }
        )
    )


if __name__ == "__main__":
    main()
