"""
Number 2: dependencies restored on a hit, for the packages of the Vite React template and for about 100,000 files.

    python benchmarks/restore.py [--quick] [--rounds 60] [--slow-rounds 3] [--keep DIR]

The limit is the bare overlay mount of the same directories, by the command `mount` interleaved with
Headrace's restore: finding the layer by its key, pinning it, and the mounts of the sandbox's working directory with the user
namespace that gives its files their owner. The parts of both are shown too: the system call alone, and Headrace without the
namespace, which a sandbox needs with and without dependencies. Beside it stand the usual ways: `npm ci
--prefer-offline`, `pnpm install --offline` and `cp -a`, all with warm caches.

`--quick` uses made-up trees of two sizes and no package manager, so it needs no network. `--keep` keeps the installed trees
for the next run. Needs root, or a user namespace of its own: `unshare -rm python benchmarks/restore.py`.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from headrace.disk import remove_tree
from headrace.executor._mounts import STAGE, RootPlan, _working_directory, root_at
from headrace.layers.layers import Layer, Layers
from headrace.layers.toolchain import provide
from headrace.linux import (
    CLONE_NEWNS,
    MNT_DETACH,
    MS_PRIVATE,
    MS_REC,
    IdRange,
    mount,
    unmount,
    unshare,
    user_namespace_with,
)
from headrace.model.digest import digest_of
from headrace.model.plan import CacheKey, Tool
from headrace.model.sandbox import WORKING_DIRECTORY

EXAMPLE = Path(__file__).parents[1] / "examples" / "react-vite"
#: The first of the sandbox's ids on this machine, for the time of the mount.
FIRST_ID = 200_000
REGISTRY = os.environ.get("HEADRACE_NPM_REGISTRY", "https://registry.npmjs.org")
TOOLS = (
    Tool(name="node", version="24.21.0"),
    Tool(name="npm", version="11.21.2"),
    Tool(name="pnpm", version="10.34.9"),
)
#: Together about 100,000 files and 930 MB.
BIG = {
    "@babel/preset-env": "7.29.14",
    "@emotion/react": "11.14.0",
    "@emotion/styled": "11.14.1",
    "@fortawesome/free-solid-svg-icons": "7.3.1",
    "@mui/icons-material": "9.5.0",
    "@mui/material": "9.5.0",
    "@tabler/icons-react": "3.51.0",
    "core-js": "3.51.0",
    "date-fns": "4.4.0",
    "eslint": "10.15.0",
    "lodash": "4.18.1",
    "lodash-es": "4.18.1",
    "lucide-react": "1.75.0",
    "ramda": "0.32.0",
    "react": "19.3.1",
    "react-dom": "19.3.1",
    "rxjs": "7.8.2",
    "three": "0.187.0",
    "typescript": "7.0.2",
    "webpack": "5.112.2",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One set of dependencies, as a layer. `project` is where package managers can install it; None for made-up trees."""

    name: str
    layer: Layer
    project: Path | None
    environment: Mapping[str, str]


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def run(argv: list[str], directory: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(argv, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


def key_of(name: str) -> CacheKey:
    return CacheKey(digest=digest_of(f"benchmark {name}".encode()), inputs=())


# The cases.


def tool_environment(work: Path) -> dict[str, str]:
    tools = Layers(work / "tools")
    layers = [asyncio.run(provide(tools, tool, REGISTRY)) for tool in TOOLS]
    path = ":".join([*(str(layer.path / "bin") for layer in layers), "/usr/bin", "/bin"])
    kept = {name: value for name, value in os.environ.items() if name.endswith(("_CERTS", "_FILE", "_proxy", "_PROXY"))}
    own = {"PATH": path, "HOME": str(work / "home"), "CI": "true", "npm_config_registry": REGISTRY}
    return {**kept, **own, "npm_config_update_notifier": "false", "npm_config_legacy_peer_deps": "true"}


def installed(name: str, work: Path, layers: Layers, environment: Mapping[str, str]) -> Case:
    """A case with real packages. Both package managers have run once, so that their caches are warm."""
    project = work / "projects" / name
    if not layers.find(key_of(name).digest):
        remove_tree(project)
        project.mkdir(parents=True)
        if name == "vite":
            shutil.copy(EXAMPLE / "package.json", project)
            shutil.copy(EXAMPLE / "package-lock.json", project)
        else:
            (project / "package.json").write_text(json.dumps({"name": "big", "private": True, "dependencies": BIG}))
            run([*NPM, "install", "--package-lock-only"], project, environment)
        run(NPM_CI, project, environment)
        modules = work / f"{name}.made"
        remove_tree(modules)
        modules.mkdir()
        (project / "node_modules").rename(modules / "node_modules")
        layers.commit(key_of(name), modules, made_by="", seconds=0, scope="")
        run(["pnpm", "import"], project, environment)
        run(["pnpm", "install", "--frozen-lockfile", "--ignore-scripts"], project, environment)
    layer = layers.find(key_of(name).digest)
    assert layer is not None
    return Case(name=name, layer=layer, project=project, environment=environment)


def made_up(files: int, work: Path, layers: Layers) -> Case:
    name = f"{files} made-up files"
    made = work / f"made-{files}"
    for number in range(files // 50):
        package = made / "node_modules" / f"package-{number}" / "lib"
        package.mkdir(parents=True)
        for part in range(50):
            (package / f"{part}.js").write_text(f"export const value = {number * part}\n" * 20)
    layer = layers.commit(key_of(name), made, made_by="", seconds=0, scope="")
    return Case(name=name, layer=layer, project=None, environment={})


NPM = ["npm", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
NPM_CI = [*NPM, "ci", "--prefer-offline"]
PNPM = ["pnpm", "install", "--frozen-lockfile", "--offline", "--ignore-scripts"]


# The usual ways. Each takes a directory away first, and only the way itself is timed.


def by_package_manager(case: Case, argv: list[str]) -> float:
    assert case.project is not None
    remove_tree(case.project / "node_modules")
    project = case.project
    return timed(lambda: run(argv, project, case.environment))


def by_copy(case: Case, work: Path) -> float:
    target = work / "copied"
    remove_tree(target)
    return timed(lambda: subprocess.run(["cp", "-a", str(case.layer.path), str(target)], check=True))


# The mounts.


@contextmanager
def sandbox_directories(work: Path) -> Iterator[Path]:
    """The directories of a new sandbox's disk, and an empty place to put its root together."""
    disk = Path(tempfile.mkdtemp(dir=work))
    for name in ("upper", "work", "home", "empty"):
        (disk / name).mkdir()
    mount("headrace", STAGE, "tmpfs", 0, "mode=711,size=1m")
    Path(root_at(STAGE) + WORKING_DIRECTORY).mkdir(parents=True)
    try:
        yield disk
    finally:
        unmount(STAGE, MNT_DETACH)
        remove_tree(disk)


def check_and_unmount() -> None:
    assert Path(root_at(STAGE) + WORKING_DIRECTORY, "node_modules").is_dir()
    assert Path(root_at(STAGE) + WORKING_DIRECTORY, "package.json").is_file()
    unmount(root_at(STAGE) + WORKING_DIRECTORY, MNT_DETACH)


def overlay_options(case: Case, source: Path, disk: Path) -> str:
    return f"lowerdir={case.layer.path}:{source},upperdir={disk}/upper,workdir={disk}/work,volatile"


def bare_call(case: Case, source: Path, work: Path) -> float:
    """What the kernel takes for the overlay: project and dependencies below, an empty directory on top."""
    with sandbox_directories(work) as disk:
        options = overlay_options(case, source, disk)
        took = timed(lambda: mount("overlay", root_at(STAGE) + WORKING_DIRECTORY, "overlay", 0, options))
        check_and_unmount()
    return took


def bare_command(case: Case, source: Path, work: Path) -> float:
    """The same as people do it."""
    with sandbox_directories(work) as disk:
        options = overlay_options(case, source, disk)
        argv = ["mount", "-t", "overlay", "overlay", "-o", options, root_at(STAGE) + WORKING_DIRECTORY]
        took = timed(lambda: subprocess.run(argv, check=True))
        check_and_unmount()
    return took


def headrace_restore(case: Case, layers: Layers, source: Path, work: Path) -> tuple[float, float]:
    """
    The hit as a build has it: the layer is found by its key, pinned, and mounted as the executor mounts it, read-only and with
    its owner turned into the sandbox's build user. Seconds in all, and without the user namespace.
    """
    with sandbox_directories(work) as disk, ExitStack() as pins:
        plan = root_plan((case.layer.path, source), disk)
        began = time.perf_counter()
        found = layers.find(case.layer.key.digest)
        assert found is not None
        pins.enter_context(layers.pin(found.key.digest))
        pinned = time.perf_counter()
        users, groups = ([IdRange(id_, plan.build_user, 1), IdRange(FIRST_ID, 0, 1)] for id_ in plan.owner or ())
        names = user_namespace_with(users, groups)
        named = time.perf_counter()
        _working_directory(plan, names)
        ended = time.perf_counter()
        os.close(names)
        check_and_unmount()
    return ended - began, ended - named + pinned - began


def root_plan(lower: tuple[Path, ...], disk: Path) -> RootPlan:
    return RootPlan(
        base="/",
        layers=[str(layer) for layer in lower],
        disk=str(disk),
        tools={},
        ca_bundle=None,
        stage=STAGE,
        owner=(os.geteuid(), os.getegid()),
        first_id=FIRST_ID,
        root_user=FIRST_ID,
        build_user=FIRST_ID + 1000,
        working_directory=WORKING_DIRECTORY,
        home="/home/builder",
        tmp_bytes=0,
        tmp_files=0,
    )


# The report.

LIMIT = "overlay, mount command"


def measure_mounts(cases: list[Case], layers: Layers, work: Path, rounds: int) -> dict[str, dict[str, float]]:
    source = work / "source"
    source.mkdir(exist_ok=True)
    (source / "package.json").write_text("{}")
    took: dict[str, dict[str, list[float]]] = {case.name: defaultdict(list) for case in cases}
    for _ in range(rounds):
        for case in cases:
            ways = took[case.name]
            ways["overlay, system call"].append(bare_call(case, source, work))
            ways[LIMIT].append(bare_command(case, source, work))
            whole, part = headrace_restore(case, layers, source, work)
            ways["headrace"].append(whole)
            ways["headrace, without namespace"].append(part)
    return {name: {way: statistics.median(times) for way, times in ways.items()} for name, ways in took.items()}


def measure_usual_ways(case: Case, work: Path, rounds: int) -> dict[str, float]:
    ways: dict[str, Callable[[], float]] = {"cp -a": lambda: by_copy(case, work)}
    if case.project:
        ways["npm ci --prefer-offline"] = lambda: by_package_manager(case, NPM_CI)
        ways["pnpm install --offline"] = lambda: by_package_manager(case, PNPM)
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            took[name].append(way())
    return {name: statistics.median(times) for name, times in took.items()}


def report(cases: list[Case], medians: dict[str, dict[str, float]]) -> dict[str, object]:
    ratios = {}
    for case in cases:
        times = medians[case.name]
        print(f"\n{case.name}: {case.layer.files:,} files, {case.layer.bytes / 2**20:,.0f} MiB")
        for way, seconds in sorted(times.items(), key=lambda item: item[1]):
            print(f"  {way:28} {seconds * 1000:12,.3f} ms {seconds / times[LIMIT]:12,.1f} x overlay")
        ratios[case.name] = round(times["headrace"] / times[LIMIT], 2)
    small, big = (medians[case.name]["headrace"] for case in cases)
    print(f"\nthe limit is the bare overlay mount; the aim is at most 3.0 for both: {ratios}")
    print(f"the large set against the small one: {big / small:.2f}")
    return {
        "benchmark": "restore",
        "times_overlay": ratios,
        "large_against_small": round(big / small, 2),
        "files": {case.name: case.layer.files for case in cases},
        "ms": {name: {way: round(t * 1000, 3) for way, t in times.items()} for name, times in medians.items()},
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--slow-rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path)
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    Path(STAGE).mkdir(parents=True, exist_ok=True)
    # Mounts that are made below end with this process, whatever happens to it.
    unshare(CLONE_NEWNS)
    mount("none", "/", "none", MS_REC | MS_PRIVATE)
    with ExitStack() as held:
        work = asked.keep.resolve() if asked.keep else Path(held.enter_context(scratch_directory()))
        work.mkdir(parents=True, exist_ok=True)
        layers = Layers(work / "layers")
        if asked.quick:
            cases = [made_up(1_000, work, layers), made_up(20_000, work, layers)]
        else:
            environment = tool_environment(work)
            cases = [installed(name, work, layers, environment) for name in ("vite", "big")]
        medians = measure_mounts(cases, layers, work, asked.rounds)
        for case in cases:
            medians[case.name] |= measure_usual_ways(case, work, 1 if asked.quick else asked.slow_rounds)
        print(json.dumps(report(cases, medians)))


@contextmanager
def scratch_directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="headrace-restore-"))
    try:
        yield path
    finally:
        remove_tree(path)


if __name__ == "__main__":
    main()
