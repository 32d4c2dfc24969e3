"""
How long a first build waits behind fifty of somebody else.

    python benchmarks/admission.py [--many 50] [--seconds 1]

One project asks for many builds at once, each of them a version of its own; when the first of them end, another project asks
for one. The limit is the slot time: what one of the many takes from its start to its end. Commands run without isolation,
because it is the order that is measured and not the sandbox. `--slots` is the setting builds_at_once.
"""

import argparse
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
from _server import new_project, new_version, server


def version(client: httpx2.Client, project: str, number: int, seconds: float) -> str:
    """A version that takes so long to build and is like no other."""
    toml = f'[build]\ncommand = "sleep {seconds}; mkdir dist; echo {number} > dist/index.html"\noutput = "dist"\n'
    return new_version(client, project, {"headrace.toml": toml, "package.json": '{"name": "x"}'})


def ask(client: httpx2.Client, project: str, version_id: str) -> str:
    answer = client.post(f"/projects/{project}/builds", json={"version": version_id})
    assert answer.status_code == 202, answer.text
    made: str = answer.json()["id"]
    return made


def ended(client: httpx2.Client, build: str) -> dict[str, Any]:
    while True:
        body: dict[str, Any] = client.get(f"/builds/{build}", headers={"Prefer": "wait=60"}).json()
        if body["finished_at"]:
            assert body["status"] == "succeeded", body
            return body


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--many", type=int, default=50)
    arguments.add_argument("--seconds", type=float, default=1.0)
    arguments.add_argument("--slots", type=int, default=2)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as place:
        settings = {"executor": "process", "builds_at_once": str(given.slots)}
        with server(Path(place) / "data", **settings) as client:
            measure(client, given.many, given.seconds, given.slots)


def measure(client: httpx2.Client, many: int, seconds: float, slots: int) -> None:
    busy, other = new_project(client, "busy"), new_project(client, "other")
    # Tool chains are fetched, and both projects have been measured once: it is the line that is looked at.
    for project in (busy, other):
        ended(client, ask(client, project, version(client, project, 0, 0)))
    versions = [version(client, busy, number, seconds) for number in range(1, many + 1)]
    mine = version(client, other, 1, seconds)
    with ThreadPoolExecutor(8) as pool:
        queued = list(pool.map(lambda made: ask(client, busy, made), versions))
    ended(client, queued[0])
    began = time.perf_counter()
    first = ended(client, ask(client, other, mine))
    answered = time.perf_counter() - began
    rest = [ended(client, build) for build in queued]
    slot = statistics.median(at(build["finished_at"]) - at(build["started_at"]) for build in rest)
    waited = at(first["started_at"]) - at(first["created_at"])
    passed = sum(at(first["created_at"]) < at(build["started_at"]) < at(first["started_at"]) for build in rest)
    total = max(at(build["finished_at"]) for build in rest) - min(at(build["started_at"]) for build in rest)
    print(f"{many} builds of one project, {slots} at once; one of another asked for behind them")
    print(f"  a slot: {slot:.2f} s; all of the many: {total:.1f} s ({total / many * slots / slot:.2f} slots each)")
    print(f"  the other waited {waited:.2f} s, {waited / slot:.2f} of a slot; {passed} of the many went before it")
    print(f"  and had its answer after {answered:.2f} s")


if __name__ == "__main__":
    main()
