"""
Numbers 6 and 8 of Fast Preview: many warm previews at once, edited in turn; what they need, and what is left of them.

    python benchmarks/preview_many.py [--projects 50] [--minutes 10]

The limit is the machine: processes, mounts, descriptors and memory before, with all of them, and after they were put to
sleep.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
from _server import EXAMPLES, files_of, new_project, process_of, server, sync
from preview import PAGE, edited

EXAMPLE = EXAMPLES / "react-vite"


def machine(pid: int) -> dict[str, int]:
    """What this machine has running, and the server of it."""
    memory = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    status = Path(f"/proc/{pid}/status").read_text()
    return {
        "processes": sum(entry.name.isdigit() for entry in Path("/proc").iterdir()),
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "server_mib": next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) // 1024,
        "available_mib": int(memory["MemAvailable"].split()[0]) // 1024,
    }


def settled(pid: int, like: dict[str, int]) -> dict[str, int]:
    """The machine when it is as before, or after half a minute."""
    end = time.monotonic() + 30
    while (now := machine(pid))["processes"] > like["processes"] + 3 and time.monotonic() < end:
        time.sleep(0.5)
    return now


def edit_in_turn(client: httpx2.Client, projects: list[str], seconds: float) -> dict[str, Any]:
    times, errors, woken = [], 0, 0
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number += 1
        project = random.choice(projects)  # noqa: S311 - any order will do
        asleep = client.get(f"/projects/{project}/preview").json()["status"] == "asleep"
        began = time.perf_counter()
        body = sync(client, project, [{"path": PAGE, "content": edited(f"edit {number}")}])
        took = time.perf_counter() - began
        if body["status"] != "ready":
            errors += 1
            print("not ready:", json.dumps(body)[:500])
        elif asleep:
            woken += 1
        else:
            times.append(took)
    ordered = sorted(times)
    return {
        "edits": number,
        "errors": errors,
        "woken": woken,
        "p50_ms": round(statistics.median(ordered) * 1000, 1),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)] * 1000, 1),
        "max_ms": round(ordered[-1] * 1000, 1),
    }


def measure(data_dir: Path, count: int, minutes: float, budget: str) -> dict[str, Any]:
    with server(data_dir, preview_memory_bytes=budget, preview_idle_seconds="3600") as client:
        pid = process_of(client)
        first = new_project(client, "warm-up")
        sync(client, first, files_of(EXAMPLE))
        client.post(f"/projects/{first}/preview/stop").raise_for_status()
        time.sleep(2)
        before = machine(pid)
        projects = [new_project(client, f"app-{number}") for number in range(count)]
        for project in projects:
            assert sync(client, project, files_of(EXAMPLE))["status"] == "ready"
        full = machine(pid)
        states = client.get("/previews").json()["items"]
        warm = [state["memory_bytes"] for state in states if state["memory_bytes"]]
        rows: dict[str, Any] = {
            "projects": count,
            "warm": len(warm),
            "memory_each_mib": round(statistics.median(warm) / 2**20, 1),
            "fit_in_8_gib": int(8 * 2**30 // statistics.median(warm)),
            "machine_mib_each": round((before["available_mib"] - full["available_mib"]) / max(1, len(warm)), 1),
            **edit_in_turn(client, projects, minutes * 60),
        }
        for project in projects:
            client.post(f"/projects/{project}/preview/stop").raise_for_status()
        after = settled(pid, before)
        return rows | {"before": before, "full": full, "after": after}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--projects", type=int, default=50)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--budget", default=str(8 * 2**30), help="bytes of all warm previews together")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as place:
        rows = measure(Path(place) / "data", options.projects, options.minutes, options.budget)
    for name, value in rows.items():
        print(f"{name:20} {value}")
    print(json.dumps({"benchmark": "preview_many", **rows}))


if __name__ == "__main__":
    main()
