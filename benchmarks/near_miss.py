"""
A lock file in which one package changed, against an install from nothing.

    python benchmarks/near_miss.py [--rounds 3] [--small] [--provisions DIR]

Two projects of npm: thirty packages without dependencies of their own, and all that Create React App brings (more than a
thousand; `--small` leaves it out). In each round one of them, `ms`, has another version in package.json and lock file. It is
installed twice, by turns: with `no_cache`, which neither reads nor writes layers, and as usual, where the closest layer is begun
with. The figure is that of the step `dependencies`, from the build itself. Packages come from the registry over the network.
`--provisions` has directories `base` and `tools` of another data directory, so that they are not made again.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import httpx2
from _server import new_project, server

from headrace.source.archive import pack_directory

THIRTY = {
    "ansi-regex": "6.1.0", "camelcase": "8.0.0", "classnames": "2.5.1", "clsx": "2.1.1", "color-name": "2.0.0",
    "cookie": "1.0.2", "dayjs": "1.11.13", "deepmerge": "4.3.1", "eventemitter3": "5.0.1", "fast-deep-equal": "3.1.3",
    "he": "1.2.0", "immer": "10.1.1", "isarray": "2.0.5", "js-tokens": "9.0.1", "jsesc": "3.1.0", "kleur": "4.1.5",
    "lodash": "4.17.21", "lodash-es": "4.17.21", "mitt": "3.0.1", "nanoid": "5.0.9", "object-assign": "4.1.1",
    "path-browserify": "1.0.1", "picocolors": "1.1.1", "picomatch": "4.0.2", "preact": "10.25.4", "punycode": "2.3.1",
    "react": "19.0.0", "semver": "7.6.3", "uuid": "11.0.5",
}  # fmt: skip
THOUSAND = {"react-scripts": "5.0.1", "react": "18.3.1", "react-dom": "18.3.1"}

#: Versions of the package that changes, the first one for the layer that the others begin with.
CHANGES = ("2.1.3", "2.1.2", "2.1.1", "2.1.0", "2.0.0", "1.0.0", "0.7.3")


def write_project(root: Path, packages: dict[str, str], version: str) -> int:
    """The project with `ms` at this version, and its lock file. Returns how many packages that has."""
    manifest = {
        "private": True,
        "scripts": {"build": "mkdir -p dist && echo '<h1>x</h1>' > dist/index.html"},
        "dependencies": {**packages, "ms": version},
    }
    (root / "package.json").write_text(json.dumps(manifest))
    # The same Node and npm as in the sandbox are not needed: the format is the same.
    command = ["npm", "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"]
    environment = {**os.environ, "npm_config_omit_lockfile_registry_resolved": "false"}
    subprocess.run(command, cwd=root, check=True, capture_output=True, env=environment)
    return len(json.loads((root / "package-lock.json").read_text())["packages"]) - 1


def install_seconds(client: httpx2.Client, project: str, **options: Any) -> float:
    """Seconds of the step `dependencies` of the newest version's build."""
    answer = client.post(f"/projects/{project}/builds", json={"options": {"wait": True, "force": True, **options}})
    build = answer.json()
    assert build.get("status") == "succeeded", build
    seconds: float = next(step["seconds"] for step in build["steps"] if step["id"] == "dependencies")
    return seconds


def measure(client: httpx2.Client, place: Path, name: str, packages: dict[str, str], rounds: int) -> None:
    root = place / name
    root.mkdir()
    project = new_project(client, name)
    clean, near, count = [], [], 0
    for number, version in enumerate(CHANGES[: rounds + 1]):
        count = write_project(root, packages, version)
        client.post(
            f"/projects/{project}/versions",
            content=b"".join(pack_directory(root)),
            headers={"Content-Type": "application/x-tar"},
        ).raise_for_status()
        if number == 0:
            first = install_seconds(client, project)
            continue
        clean.append(install_seconds(client, project, no_cache=True))
        near.append(install_seconds(client, project))
    ratio = statistics.median(clean) / statistics.median(near)
    print(f"{name}: {count} packages, one changed, {rounds} rounds; load {os.getloadavg()[0]:.1f}")
    print(f"  first install {first:6.2f} s")
    print(f"  clean         {_figures(clean)}")
    print(f"  near miss     {_figures(near)}")
    print(f"  clean is {ratio:.1f} times as long")


def _figures(times: list[float]) -> str:
    return f"{statistics.median(times):6.2f} s in the middle, {min(times):.2f} to {max(times):.2f} s"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, choices=range(1, len(CHANGES)), default=3)
    arguments.add_argument("--small", action="store_true")
    arguments.add_argument("--provisions", type=Path)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as place:
        data_dir = Path(place) / "data"
        data_dir.mkdir(mode=0o700)
        if chosen.provisions:
            for shared in ("base", "tools"):
                (data_dir / shared).symlink_to(chosen.provisions.absolute() / shared)
        with server(data_dir) as client:
            measure(client, Path(place), "thirty", THIRTY, chosen.rounds)
            if not chosen.small:
                measure(client, Path(place), "thousand", THOUSAND, chosen.rounds)


if __name__ == "__main__":
    main()
