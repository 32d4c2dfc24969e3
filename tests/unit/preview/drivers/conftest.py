"""Drivers over real tools: plain processes of this machine in copies of projects that were really installed, no sandbox."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from headrace.diagnostics.ansi import plain
from headrace.model.diagnostic import LogLine
from headrace.model.plan import BuildPlan
from headrace.model.preview import PreviewMode
from headrace.model.project import ProjectSettings
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import DirectoryFiles
from headrace.preview.base import MOUNTED, PROGRAM, Builder, Change, Driver, Outcome, Setup

EXAMPLES = Path(__file__).parents[4] / "examples"
#: Projects that can't be deployed yet, so they are no examples.
PROJECTS = Path(__file__).with_name("projects")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class ProcessLink:
    """The command of a setup as a process of this machine."""

    def __init__(self, setup: Setup, project: Path) -> None:
        argv = [word.replace(MOUNTED, str(PROGRAM)) for word in setup.argv]
        directory = project / setup.directory
        path = f"{directory}/node_modules/.bin:{os.environ['PATH']}"
        self._log = (project.parent / f"{project.name}.log").open("w+b")
        self.process = subprocess.Popen(
            argv,
            cwd=directory,
            env={"PATH": path, "HOME": str(project.parent), **setup.env},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def socket(self) -> socket.socket:
        made = socket.socket()
        made.setblocking(False)
        return made

    def lines(self, after: int = 0) -> Sequence[LogLine]:
        text = Path(self._log.name).read_bytes().decode("utf-8", "replace").split("\n")[:-1]
        return [LogLine(seq=at, text=plain(line)) for at, line in enumerate(text, start=1) if at > after]

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        # A server outlives the npm that started it.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()
        self._log.close()


class Running:
    """A driver's builder over a project's directory, told of changes as a session tells of them."""

    def __init__(self, driver: Driver, project: Path, mode: PreviewMode) -> None:
        self.project = project
        self._original = _sources(project)
        files = DirectoryFiles(project)
        self.plan: BuildPlan = make_plan(files, ProjectSettings(), PlanLimits())
        assert driver.fits(self.plan, files, mode) is None
        self.setup = driver.setup(self.plan, files, mode, free_port)
        self.link = ProcessLink(self.setup, project)
        self.builder: Builder = driver.attach(self.setup, self.plan, self.link)

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.setup.page_port}"

    def text(self, path: str) -> str:
        return (self.project / path).read_text()

    async def edit(self, path: str, old: str, new: str) -> Outcome:
        assert old in self.text(path)
        return await self.write({path: self.text(path).replace(old, new)})

    async def write(self, files: dict[str, str], removed: Sequence[str] = (), pause: float = 0) -> Outcome:
        """`pause` is the time, in seconds, between the files' writing and the order that names them."""
        self.builder.expect()
        for path, text in files.items():
            target = self.project / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        for path in removed:
            (self.project / path).unlink()
        await asyncio.sleep(pause)
        return await asyncio.wait_for(self.builder.apply(Change(tuple(files), tuple(removed))), 60)

    async def reset(self) -> None:
        """The files as they were at first; whatever was broken is whole again."""
        now = _sources(self.project)
        written = {path: data for path, data in self._original.items() if now.get(path) != data}
        removed = [path for path in now if path not in self._original]
        if written or removed:
            self.builder.expect()
        for path, data in written.items():
            (self.project / path).write_bytes(data)
        for path in removed:
            (self.project / path).unlink()
        if written or removed:
            outcome = await self.builder.apply(Change(tuple(written), tuple(removed)))
            assert outcome.ok, outcome


def _sources(project: Path) -> dict[str, bytes]:
    made = ("node_modules", "dist", ".svelte-kit", ".next", ".astro", "fresh")
    paths = (path for path in project.rglob("*") if not set(path.relative_to(project).parts) & set(made))
    return {str(path.relative_to(project)): path.read_bytes() for path in paths if path.is_file()}


Run = Callable[[Driver, Path, PreviewMode], Awaitable[Running]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run() -> AsyncIterator[Run]:
    """Starts a driver over a project; what was started ends with the module."""
    started: list[Running] = []

    async def start(driver: Driver, project: Path, mode: PreviewMode) -> Running:
        running = Running(driver, project, mode)
        started.append(running)
        return running

    yield start
    for running in started:
        await running.builder.close()
        running.link.kill()


class Installed:
    """Examples with their dependencies, installed once on this machine for each lock file."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def copy(self, name: str, target: Path) -> Path:
        """A copy of an example that may be changed. Dependencies are hard links: nothing writes to them."""
        shutil.copytree(_source(name), target)
        modules = self._modules(name)
        subprocess.run(["cp", "-al", str(modules), str(target / "node_modules")], check=True)
        return target

    def _modules(self, name: str) -> Path:
        lock = _source(name) / "package-lock.json"
        place = self._place / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
        self._place.mkdir(parents=True, exist_ok=True)
        with Path(f"{place}.lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            if not place.exists():
                aside = place.with_suffix(".aside")
                shutil.rmtree(aside, ignore_errors=True)
                aside.mkdir()
                for file in ("package.json", "package-lock.json"):
                    shutil.copy(lock.with_name(file), aside)
                # Not `ci`: npm calls a lock file without addresses out of step when packages of other systems are in it.
                argv = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
                subprocess.run(argv, cwd=aside, check=True)
                aside.rename(place)
        return place / "node_modules"


def _source(name: str) -> Path:
    return next(place / name for place in (EXAMPLES, PROJECTS) if (place / name).exists())


@pytest.fixture(scope="session")
def installed(provisions: Path) -> Installed:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    return Installed(provisions / "examples")


@pytest.fixture
def react(installed: Installed, tmp_path: Path) -> Path:
    """A project of Vite's React and TypeScript template, of one's own."""
    return installed.copy("react-vite", tmp_path / "react")
