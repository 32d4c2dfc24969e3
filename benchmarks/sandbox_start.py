"""
Number 1: a sandbox, from its specification to the first instruction of a command in it.

    python benchmarks/sandbox_start.py [--rounds 40] [--pause 0.2] [--runtime runc --runtime crun] [--keep DIR]
    python benchmarks/sandbox_start.py --executor docker --engine SOCKET [--engine SOCKET] --image IMAGE

The limit is the bare runtime: `run` with the same configuration, over a root file system that was put together beforehand.
Headrace makes the sandbox's directories, starts a supervisor, puts the root together with layers and idmapped mounts, runs the
runtime and the container's first process, and then the command. Both ways are interleaved. The command says the time at which
it runs, so the figures end at the same point. Needs root.

The bare runtime gets the very same configuration, also what Headrace has worked out for it beforehand: the compiled filter of
system calls. What Headrace does beforehand by itself, such as starting the next runtime, is not measured here: it happens in the
pause before each start. With `--pause 0` starts follow each other at once, and may have to wait for it.

`--keep` keeps the base system for the next run.

For the executor `docker` the limit is what the engine does by itself for `run --network none --rm`, without a command line.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from headrace.eventfile import EventFile
from headrace.executor._container_plan import Machine, SandboxPlace, container_instructions
from headrace.executor._daemon_api import DaemonApi
from headrace.executor._daemon_plan import ulimits
from headrace.executor._mounts import hide_mount, make_root, private_mounts
from headrace.executor._runtime import hidden_mount
from headrace.executor._sandbox_directory import SandboxDirectory, cgroup_of, make_directory
from headrace.executor.base import Executor
from headrace.executor.docker import DockerExecutor
from headrace.executor.oci import RUNTIMES, OciExecutor
from headrace.model.plan import StepId
from headrace.model.sandbox import SandboxCommand, SandboxSpec
from headrace.settings import Settings

#: Says when it runs.
SAY_TIME = ("/bin/date", "+%s.%N")
COMMAND = SandboxCommand(index=0, step=StepId.BUILD, argv=SAY_TIME)
FIRST_ID = 15 * 65536


def serve_bare(machine: Machine, root: Path, layer: Path, requests: Connection) -> None:
    """In a process of its own, because its mounts are its own: one bare run for each request."""
    directory = SandboxDirectory(root, f"bare-{machine.runtime.kind}")
    make_directory(directory.path, lambda _: {})
    place = directory.command(0)
    place.mkdir()
    spec = SandboxSpec(id=directory.path.name, build_id="bench", layers=(layer,))
    first_id = FIRST_ID if machine.ground.given is None else min(1, machine.ground.given.length)
    where = SandboxPlace(first_id, 0, cgroup_of(root, spec.id))
    given = container_instructions(machine, spec, COMMAND, place, root / "log", where).container
    assert given
    config = json.loads((place / "config.json").read_text())
    config["process"]["args"] = list(SAY_TIME)
    (place / "config.json").write_text(json.dumps(config))
    private_mounts(machine.ground)
    if hidden := hidden_mount(machine.runtime):
        hide_mount(hidden)
    make_root(given.root)
    argv = [machine.runtime.path, "--root", f"{place}/state", "run", "--bundle", str(place)]
    number = 0
    while requests.recv():
        number += 1
        began = time.time()
        done = subprocess.run([*argv, f"bare{number}"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        requests.send((float(done.stdout) - began, time.time() - began))


@contextmanager
def bare_runs(machine: Machine, root: Path, layer: Path) -> Iterator[Connection]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=serve_bare, args=(machine, root, layer, theirs))
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.send(False)
        process.join()


async def through_executor(executor: Executor, layer: Path, log: Path, number: int) -> tuple[float, float]:
    began = time.time()
    sandbox = await executor.open(SandboxSpec(id=f"bench-{number}", build_id="bench", layers=(layer,)))
    result = await sandbox.run(COMMAND, log)
    took = time.time() - began
    await sandbox.close()
    assert result.exit_code == 0
    events = [json.loads(line) for line in b"".join(EventFile(log).read_from()).splitlines()]
    return float(events[-1]["line"]) - began, took


async def measure(kind: str, work: Path, rounds: int, pause: float) -> dict[str, float]:
    layer, log = work / "layer", work / f"{kind}.ndjson"
    layer.mkdir(exist_ok=True)
    executor = OciExecutor(Settings(data_dir=work, oci_runtime=kind))
    machine = await executor.machine()
    times: dict[str, list[float]] = {"bare": [], "bare_whole": [], "headrace": [], "headrace_whole": []}
    with bare_runs(machine, work / "sandboxes", layer) as bare:
        for number in range(rounds + 3):
            await asyncio.sleep(pause)
            bare.send(True)
            alone = await asyncio.to_thread(bare.recv)
            await asyncio.sleep(pause)
            figures = (*alone, *await through_executor(executor, layer, log, number))
            if number >= 3:
                for name, figure in zip(times, figures, strict=True):
                    times[name].append(figure * 1000)
    await executor.discard(f"bare-{kind}")
    return {name: statistics.median(figures) for name, figures in times.items()}


def through_engine(api: DaemonApi, image: str) -> tuple[float, float]:
    """Create, start, wait, read, remove: what `run --rm` does."""
    began = time.time()
    host = {"NetworkMode": "none", "Ulimits": ulimits({"NOFILE": 1024})}
    wanted = {"Image": image, "Cmd": list(SAY_TIME), "Tty": True, "HostConfig": host}
    container = api.create(f"bare-{time.monotonic_ns()}", wanted)
    api.start(container)
    api.wait(container)
    said = float(api.printed(container))
    api.remove(container)
    return said - began, time.time() - began


async def measure_engine(socket: str, image: str, work: Path, rounds: int) -> tuple[str, dict[str, float]]:
    """The engine's name, and medians."""
    api, layer = DaemonApi(socket), work / "layer"
    layer.mkdir(exist_ok=True)
    # What an engine can't give is known, and not what is measured.
    settings = Settings(data_dir=work, docker_host=socket, docker_image=image, accept_weaker_sandbox=("H6", "H7"))
    executor, kind = DockerExecutor(settings), api.about().kind
    times: dict[str, list[float]] = {"bare": [], "bare_whole": [], "headrace": [], "headrace_whole": []}
    for number in range(rounds + 3):
        bare = await asyncio.to_thread(through_engine, api, image)
        figures = (*bare, *await through_executor(executor, layer, work / f"{kind}.ndjson", number))
        if number >= 3:
            for name, figure in zip(times, figures, strict=True):
                times[name].append(figure * 1000)
    return kind, {name: statistics.median(figures) for name, figures in times.items()}


def report(medians: dict[str, dict[str, float]]) -> None:
    print(
        f"{'':8} {'bare runtime':>14} {'Headrace':>10} {'ratio':>7}   {'bare, to its end':>18} {'Headrace':>10} {'ratio':>7}"
    )
    for kind, of in medians.items():
        first, whole = of["headrace"] / of["bare"], of["headrace_whole"] / of["bare_whole"]
        print(
            f"{kind:8} {of['bare']:11.1f} ms {of['headrace']:7.1f} ms {first:7.2f}"
            f"   {of['bare_whole']:15.1f} ms {of['headrace_whole']:7.1f} ms {whole:7.2f}"
        )
    ratios = {f"{kind}_ratio": round(of["headrace"] / of["bare"], 3) for kind, of in medians.items()}
    rounded = {kind: {name: round(figure, 2) for name, figure in of.items()} for kind, of in medians.items()}
    print(json.dumps({"benchmark": "sandbox_start", "limit": 1.5, **ratios, "milliseconds": rounded}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--pause", type=float, default=0.2, help="seconds before each start")
    parser.add_argument("--runtime", choices=RUNTIMES, action="append")
    parser.add_argument("--executor", choices=("oci", "docker"), default="oci")
    parser.add_argument("--engine", action="append", metavar="SOCKET")
    parser.add_argument("--image")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as temporary:
        work = given.keep or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        if given.executor == "oci":
            report(
                {
                    kind: asyncio.run(measure(kind, work, given.rounds, given.pause))
                    for kind in given.runtime or RUNTIMES
                }
            )
        elif given.engine and given.image:
            found = [asyncio.run(measure_engine(one, given.image, work, given.rounds)) for one in given.engine]
            report(dict(found))
        else:
            parser.error("--executor docker needs --engine and --image")


if __name__ == "__main__":
    main()
