"""
How much longer a build takes beside another one that uses all that it may of the processors, or of the disk.

    python benchmarks/neighbour.py [--rounds 5] [--cpus 1]

Each build has `--cpus` processors (the setting `cpus`), so that two have room on a machine with twice as many. What is measured is
the build command's own time: it computes for a while and writes files. The limit is the same build alone, in the same run.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
from _server import new_project, new_version, server

_WORK = """
import hashlib, os
for _ in range(40):
    hashlib.sha256(bytes(20_000_000)).digest()
os.makedirs("dist/files")
for number in range(3000):
    with open(f"dist/files/{number}", "wb") as file:
        file.write(b"x" * 4000)
open("dist/index.html", "w").write("done")
"""
#: Until somebody cancels them. Each starts four, and may use less.
HOGS = {
    "processors": "for _ in 1 2 3 4; do while :; do :; done & done; echo busy; wait",
    "disk": "for n in 1 2 3 4; do while :; do dd if=/dev/zero of=$n bs=1M count=64 conv=fsync 2>/dev/null; done & done;"
    " echo busy; wait",
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--cpus", type=float, default=1)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as place:
        settings = {"executor": "oci", "builds_at_once": "2", "cpus": str(given.cpus)}
        with server(Path(place) / "data", **settings) as client:
            measure(client, given.rounds)


def measure(client: httpx2.Client, rounds: int) -> None:
    mine = project(client, "mine", "python3 work.py", {"work.py": _WORK})
    hogs = {what: project(client, what, command, {}) for what, command in HOGS.items()}
    command_seconds(client, mine)  # what is fetched once
    taken: dict[str, list[float]] = {"alone": [], **{what: [] for what in HOGS}}
    for _ in range(rounds):
        taken["alone"].append(command_seconds(client, mine))
        for what, hog in hogs.items():
            busy = ask(client, hog)
            while '"line":"busy"' not in client.get(f"/builds/{busy}/events").text:
                time.sleep(0.05)
            taken[what].append(command_seconds(client, mine))
            client.post(f"/builds/{busy}/cancel").raise_for_status()
            ended(client, busy)
    alone = statistics.median(taken["alone"])
    print(f"a build alone: {alone:.2f} s ({spread(taken['alone'])})")
    for what in HOGS:
        beside = statistics.median(taken[what])
        print(
            f"  beside one that takes all of its {what}: {beside:.2f} s ({spread(taken[what])}), ratio {beside / alone:.2f}"
        )


def project(client: httpx2.Client, name: str, command: str, files: dict[str, str]) -> str:
    made = new_project(client, name)
    table = f'[build]\ncommand = {json.dumps(command)}\noutput = "dist"\n'
    new_version(client, made, {"headrace.toml": table, **files})
    return made


def ask(client: httpx2.Client, project_id: str) -> str:
    answer = client.post(f"/projects/{project_id}/builds", json={"options": {"force": True}})
    answer.raise_for_status()
    build: str = answer.json()["id"]
    return build


def ended(client: httpx2.Client, build: str) -> dict[str, Any]:
    while not (body := client.get(f"/builds/{build}", headers={"Prefer": "wait=60"}).json())["finished_at"]:
        time.sleep(0.05)
    return dict(body)


def command_seconds(client: httpx2.Client, project_id: str) -> float:
    build = ask(client, project_id)
    row = ended(client, build)
    assert row["status"] == "succeeded", row["failure"]
    events = [json.loads(line) for line in client.get(f"/builds/{build}/events").text.splitlines()]
    return float(next(event["seconds"] for event in events if event["type"] == "build.command.completed"))


def spread(values: list[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


if __name__ == "__main__":
    main()
