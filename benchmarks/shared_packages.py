"""
A cold install whose packages another project has fetched, against one that fetches them.

    python benchmarks/shared_packages.py [--rounds 5] [--manager npm]

The limit is the same install with an empty store of packages, interleaved. What is compared is the install command's own time in its
sandbox, and how many connections it made. Layers are removed before each install, so that none is begun with another.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import httpx2
from _server import new_project, server

from headrace.source.archive import pack_directory

LOCKS = Path(__file__).parent / "locks"
MANAGERS = sorted(place.name for place in LOCKS.iterdir() if place.is_dir())


def project_in(directory: Path, manager: str) -> None:
    """A project of 134 packages with this manager's lock file, which holds the addresses that the manager writes by default."""
    toml = '[build]\ncommand = "mkdir dist && echo done > dist/index.html"\noutput = "dist"\n'
    directory.mkdir()
    (directory / "headrace.toml").write_text(toml)
    for file in (LOCKS / "package.json", *(LOCKS / manager).iterdir()):
        shutil.copy(file, directory)


def install(client: httpx2.Client, project: str, *, empty: bool) -> tuple[float, int]:
    """Seconds of the install, and its connections."""
    for entry in client.get("/cache").json()["items"]:
        if entry["kind"] == "dependencies" or (empty and entry["kind"] == "packages"):
            client.delete(f"/cache/{entry['digest']}").raise_for_status()
    answer = client.post(f"/projects/{project}/builds", json={"options": {"wait": True, "force": True}})
    body: dict[str, Any] = answer.json()
    assert body.get("status") == "succeeded", body
    command = next(command for command in body["commands"] if command["step"] == "dependencies")
    made = sum(use["connections"] for use in body["network"] if use["step"] == "dependencies")
    return command["seconds"], made


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--manager", choices=MANAGERS, default="npm")
    asked = arguments.parse_args()
    rounds = asked.rounds
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as place, server(Path(place) / "data") as client:
        project = new_project(client, "packages")
        project_in(Path(place) / "project", asked.manager)
        packed = b"".join(pack_directory(Path(place) / "project"))
        client.post(
            f"/projects/{project}/versions", content=packed, headers={"Content-Type": "application/x-tar"}
        ).raise_for_status()
        pairs = [(install(client, project, empty=True), install(client, project, empty=False)) for _ in range(rounds)]
    cold, warm = ([pair[which] for pair in pairs] for which in (0, 1))
    before, after = (statistics.median(seconds for seconds, _ in runs) for runs in (cold, warm))
    print(f"{asked.manager}, {rounds} rounds, medians")
    print(f"  nothing fetched before: {before:.2f} s, {statistics.median(n for _, n in cold):.0f} connections")
    print(f"  all fetched by another: {after:.2f} s, {statistics.median(n for _, n in warm):.0f} connections")
    print(f"  {after / before:.2f} of the time")


if __name__ == "__main__":
    main()
