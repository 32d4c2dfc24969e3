"""What the executor suites share: a laboratory with one executor, where scripted and real commands do the same."""

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from tests.contract.engines import IMAGE, Engine, import_image

from headrace.eventfile import EventFile
from headrace.executor._base_system import provide_base_system
from headrace.executor._cgroup import cgroup_mounts, take_delegated
from headrace.executor._daemon_api import DaemonApi
from headrace.executor._daemon_plan import OWNER_LABEL
from headrace.executor._ordinary_user import weaker_controls
from headrace.executor.base import Executor, Sandbox
from headrace.executor.docker import DockerExecutor
from headrace.executor.fake import Act, FakeExecutor, Script
from headrace.executor.oci import OciExecutor
from headrace.executor.process import ProcessExecutor
from headrace.model.limits import Limits
from headrace.model.plan import StepId
from headrace.model.sandbox import CommandResult, SandboxCommand, SandboxSpec
from headrace.settings import Settings

#: The executor `docker`, over each of these.
ENGINES = ("docker", "podman")


def on(*kinds: str) -> pytest.MarkDecorator:
    """With a laboratory of each kind."""
    return pytest.mark.parametrize("lab", kinds, indirect=True)


#: Does what an `Act` says, with nothing but Python.
PERFORM = """
import json, os, subprocess, sys, time
act = json.loads(sys.argv[1])
for path, text in act["writes"].items():
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    open(path, "wb").write(text.encode("latin-1"))
for path in act["removes"]:
    os.unlink(path)
for stream, name in ((sys.stdout, "stdout"), (sys.stderr, "stderr")):
    stream.buffer.write(act[name].encode("latin-1"))
    stream.buffer.flush()
for _ in range(act["background"]):
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
time.sleep(act["seconds"])
sys.exit(act["exit_code"])
"""


class Lab:
    """One executor over an empty data directory."""

    def __init__(self, kind: str, place: Path, base: Path | None, engine: str | None = None) -> None:
        self.kind = kind
        self.place = place
        self.log = place / "log.ndjson"
        data = place / "data"
        data.mkdir(mode=0o700)
        if base:
            (data / "base").symlink_to(base)
        runtime = kind if kind in ("runc", "crun") else None
        self.settings = Settings(
            data_dir=data,
            oci_runtime=runtime,
            docker_host=engine,
            docker_image=IMAGE,
            accept_weaker_sandbox=tuple(self.weaker),
        )
        self.executor = self.another_executor()
        self._index = -1
        self._failures: list[str] = []

    @property
    def real(self) -> bool:
        return self.kind != "fake"

    @property
    def isolated(self) -> bool:
        return self.kind in ("runc", "crun", *ENGINES)

    @property
    def sandboxes(self) -> Path:
        """Where the sandboxes' directories are."""
        kinds = {"process": "processes", **dict.fromkeys(ENGINES, "containers")}
        return self.settings.data_dir / kinds.get(self.kind, "sandboxes")

    @property
    def rootless(self) -> bool:
        """The suites run as an ordinary user too: see `test_executor_rootless`."""
        return os.geteuid() != 0

    @property
    def weaker(self) -> Mapping[str, str]:
        """Controls that an ordinary user's sandbox, or one of an engine, is known to lack here."""
        if self.kind == "docker":
            return {"H7": "Docker has no ids for each container"}
        if self.kind == "podman" and any(mount.controllers for mount in cgroup_mounts()):
            return {"H6": "Podman hides control groups only where there is version 2 alone"}
        return weaker_controls(take_delegated()) if self.rootless else {}

    def has_groups(self, controller: str) -> bool:
        """Whether a control group keeps limits here."""
        return not self.rootless or controller in take_delegated().controllers

    def another_executor(self) -> Executor:
        if self.kind == "fake":
            return FakeExecutor(self.settings)
        if self.kind in ENGINES:
            return DockerExecutor(self.settings)
        return ProcessExecutor(self.settings) if self.kind == "process" else OciExecutor(self.settings)

    def layer(self, name: str, **files: str) -> Path:
        root = self.place / "layers" / name
        for path, text in files.items():
            file = root / path.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        root.mkdir(parents=True, exist_ok=True)
        return root

    async def open(self, *layers: Path, name: str = "sbx_1") -> Sandbox:
        return await self.executor.open(SandboxSpec(id=name, build_id="build_1", layers=layers))

    async def open_preview(self, *layers: Path, name: str = "prv_1") -> Sandbox:
        return await self.executor.open(SandboxSpec(id=name, project_id="prj_1", layers=layers))

    def command(self, argv: tuple[str, ...], **fields: Any) -> SandboxCommand:
        self._index += 1
        limits = Limits(**{"memory_bytes": 512 * 2**20, "seconds": 60, **fields.pop("limits", {})})
        return SandboxCommand(**{"index": self._index, "step": StepId.BUILD, "argv": argv, "limits": limits, **fields})

    def acting(self, act: Act | None = None, **fields: Any) -> SandboxCommand:
        """A command that does what `act` says, with a real process or as a script of the fake."""
        act = act or Act()
        command = self.command((f"act-{self._index + 1}",), **fields)
        if isinstance(self.executor, FakeExecutor):
            self.executor.acts[command.argv[0]] = act
            return command
        said = {
            "writes": {path: data.decode("latin-1") for path, data in act.writes.items()},
            "removes": list(act.removes),
            "stdout": act.stdout.decode("latin-1"),
            "stderr": act.stderr.decode("latin-1"),
            "background": act.background,
            "seconds": act.seconds,
            "exit_code": act.exit_code,
        }
        return command.but(argv=("python3", "-c", PERFORM, json.dumps(said)))

    def python(self, source: str, fake: Script, **fields: Any) -> SandboxCommand:
        """A command that runs Python, or, with the fake, a script that stands for it."""
        command = self.command((f"python-{self._index + 1}",), **fields)
        if isinstance(self.executor, FakeExecutor):
            self.executor.acts[command.argv[0]] = fake
            return command
        return command.but(argv=("python3", "-c", source))

    def shell(self, script: str, **fields: Any) -> SandboxCommand:
        return self.command(("/bin/sh", "-c", script), **fields)

    async def run(self, sandbox: Sandbox, act: Act | None = None, **fields: Any) -> CommandResult:
        try:
            return await sandbox.run(self.acting(act, **fields), self.log)
        except Exception as exc:
            self._failures.append(repr(exc))
            raise

    async def says(self, sandbox: Sandbox, script: str, **fields: Any) -> str:
        """What a shell script prints to stdout in a real sandbox."""
        before = EventFile(self.log).state().last_seq
        await sandbox.run(self.shell(script, **fields), self.log)
        return "".join(line["line"] + "\n" for line in self.lines(after=before) if line["stream"] == "stdout")

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        stored = b"".join(EventFile(self.log).read_from(after))
        return [json.loads(line) for line in stored.splitlines()]

    def lines(self, after: int = 0) -> list[dict[str, Any]]:
        return [event for event in self.events(after) if event["type"] in ("build.log", "preview.log")]

    def text(self, stream: str = "stdout") -> str:
        return "\n".join(line["line"] for line in self.lines() if line["stream"] == stream)

    async def until_printed(self, text: str) -> None:
        """Raises AssertionError when a command could not be run, or it takes far too long."""
        deadline = time.monotonic() + 120
        while text not in self.text():
            if self._failures or time.monotonic() > deadline:
                made = [str(path) for path in self.place.rglob("commands/*/*")]
                raise AssertionError(f"{text!r} was not printed: {self._failures or 'nothing failed'}, {made}")
            await asyncio.sleep(0.01)

    async def clean_up(self) -> None:
        for name in await self.executor.existing():
            await self.executor.discard(name)


@pytest.fixture(scope="session")
def base_system(provisions: Path) -> Path:
    """The sandboxes' base system."""
    place = provisions / "base"
    place.mkdir(exist_ok=True)
    return place


class Engines:
    """Container engines, each started when a test wants it first."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._running = ExitStack()
        # Podman wants short paths.
        self._place = Path(self._running.enter_context(TemporaryDirectory(prefix="headrace-", dir="/tmp")))
        self._engines: dict[str, Engine] = {}

    def engine(self, kind: str) -> Engine:
        if kind not in self._engines:
            base = provide_base_system(self._base.parent, Settings().debian_mirror)
            engine = self._engines[kind] = Engine(kind, self._place / kind)
            self._running.callback(engine.stop)
            engine.start()
            import_image(engine.socket, base)
        return self._engines[kind]

    def stop(self) -> None:
        with self._running:
            for engine in self._engines.values():
                assert DaemonApi(engine.socket).labelled(OWNER_LABEL) == [], "no container of a sandbox is left"


@pytest.fixture(scope="session")
def engines(base_system: Path) -> Iterator[Engines]:
    made = Engines(base_system)
    yield made
    made.stop()


@pytest.fixture
async def lab(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Lab]:
    kind: str = request.param
    if (
        kind in ("runc", "crun")
        and shutil.which(kind, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin") is None
    ):
        pytest.skip(f"{kind} is not installed")
    base = request.getfixturevalue("base_system") if kind in ("runc", "crun", *ENGINES) else None
    engine = request.getfixturevalue("engines").engine(kind).socket if kind in ENGINES else None
    made = Lab(kind, tmp_path, base, engine)
    yield made
    await made.clean_up()
    assert await made.executor.existing() == []
