"""One place where faults are injected: a server, what clients were promised by it, and the randomness of a seed."""

import os
import random
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from tests.contract.engines import IMAGE, Engine, import_image
from tests.server import Server, environment_of, new_data_dir

from endurance import projects
from endurance.power import Disk, Image, mounted
from headrace.executor._base_system import provide_base_system
from headrace.layers.layers import Layers
from headrace.settings import Settings

#: A worker that is silent this long loses its builds. Short, so that an injection does not take long.
LEASE_SECONDS = 3.0
STEPS = ("source", "plan", "dependencies", "build", "verify", "artifact", "deploy")
_SANDBOXES = {"oci": "sandboxes", "process": "processes", "docker": "containers"}
RESOURCES = {"cpus": 2, "memory_bytes": 512 * 2**20, "log_bytes": 8 * 2**20}


@dataclass
class Promised:
    """A build that a client has the id of."""

    id: str
    slug: str
    #: What each step's count has to be, if it ran to its end.
    lines: int = 0
    #: How it may end; with reasons, one of them has to be the failure's.
    may_be: tuple[str, ...] = ("succeeded",)
    reasons: tuple[str, ...] = ()


def provisions() -> Path:
    """Base system and tool chains, made once and shared by all data directories of this machine's tests."""
    kept = os.environ.get("TEST_PROVISIONS")
    return Path(kept) if kept else Path(tempfile.gettempdir()) / f"headrace-provisions-{os.getuid()}"


@dataclass
class Rig:
    place: Path
    random: random.Random
    executor: str
    #: Injections take all the time and load that they need; otherwise what a small machine has.
    long: bool = False
    #: The disk of the data directory, when it has one of its own.
    disk: Image | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    #: What sandboxes are opened with by the executor `docker`.
    engine: Engine | None = None
    server: Server = field(init=False)
    promised: list[Promised] = field(default_factory=list)
    at_end: ExitStack = field(default_factory=ExitStack)
    _projects: int = 0

    def __post_init__(self) -> None:
        self.data_dir = new_data_dir(self.place / "data", provisions())
        self.server = self.another_server()

    def another_server(
        self, *, wrap: Sequence[str] = (), env: Mapping[str, str] | None = None, **settings: object
    ) -> Server:
        own = {
            "executor": self.executor,
            "lease_seconds": LEASE_SECONDS,
            "builds_at_once": 4,
            **RESOURCES,
            **self.settings,
        }
        environment = environment_of(self.data_dir, **{**own, **settings})
        return Server(environment | dict(env or {}), self.data_dir, wrap=wrap, cold=True)

    # What clients do

    def ask(
        self, files: projects.Files, *, server: Server | None = None, lines: int = 0, **options: object
    ) -> Promised:
        """Upload these files as a new project, and ask for its build. From now on the build is promised."""
        server = server or self.server
        self._projects += 1
        project = server.project(f"p-{self._projects}-{self.random.getrandbits(32):08x}")
        server.upload(project["id"], files)
        build = Promised(server.build(project["id"], **options)["id"], project["slug"], lines)
        self.promised.append(build)
        return build

    def any_build(self, **counting: int) -> Promised:
        """One of the kinds, as the seed wants it."""
        release = f"release-{self.random.getrandbits(32):08x}"
        kind = self.random.choice(("static", "build", "install"))
        if kind == "static":
            return self.ask(projects.static(release))
        lines = counting.pop("lines", self.random.choice((5, 20, 40)))
        return self.ask(projects.counting(release, lines=lines, install=kind == "install", **counting), lines=lines)

    def counting(self, *, lines: int = 40, install: bool = False, **options: int) -> Promised:
        release = f"release-{self.random.getrandbits(32):08x}"
        return self.ask(projects.counting(release, lines=lines, install=install, **options), lines=lines)

    def script(self, script: str, *, seconds: float | None = None) -> Promised:
        """A project whose build command is this shell script; `seconds` limits the whole build."""
        return self.ask(projects.running(f"release-{self.random.getrandbits(32):08x}", script), seconds=seconds)

    def until_phase(self, build: Promised, step: str) -> None:
        """Until the step has begun, and a moment longer. A build that has ended is past each."""
        if step == "queued":
            return
        self.server.until_logged(build.id, '"build.step.started"', f'"step":"{step}"')
        self.pause(0.05)

    def pause(self, most: float) -> None:
        time.sleep(self.random.random() * most)

    # What is on the disk

    def sandboxes(self) -> Path:
        return self.data_dir / _SANDBOXES[self.executor]

    def supervisor(self, build: Promised, step: str = "build") -> int:
        """The process that owns the step's command."""
        lock = self.sandboxes() / f"{build.id}-{step}" / "commands" / "0" / "lock"
        return int(lock.read_text().split()[0])

    def first_process(self, build: Promised, step: str = "build") -> int:
        return int((self.sandboxes() / f"{build.id}-{step}" / "commands" / "0" / "running").read_text())

    def processes(self) -> list[int]:
        """All that belong to this data directory: they name it in their arguments or their environment."""
        return processes_of(self.data_dir)

    def kill_everything(self) -> None:
        self.server.kill()
        for _ in range(3):
            for pid in self.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def database(self) -> "closing[sqlite3.Connection]":
        return closing(sqlite3.connect(self.data_dir / "headrace.db", timeout=20, isolation_level=None))


def processes_of(data_dir: Path) -> list[int]:
    mark, found = os.fsencode(data_dir) + b"/", list[int]()
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        with suppress(OSError):
            environ = (process / "environ").read_bytes() if _may_be_ours(process) else b""
            if mark in (process / "cmdline").read_bytes() + b"/" or b"HEADRACE_SANDBOX=" + mark in environ:
                found.append(int(process.name))
    return found


def _may_be_ours(process: Path) -> bool:
    return b"HEADRACE_SANDBOX=" in (process / "environ").read_bytes()


@contextmanager
def new_rig(
    chance: random.Random,
    executor: str,
    *,
    long: bool = False,
    disk: Disk | None = None,
    settings: Mapping[str, object] | None = None,
) -> Iterator[Rig]:
    """A rig in a directory of its own, or on a disk of its own, with a server that runs."""
    made = Path(tempfile.mkdtemp(prefix="headrace-faults-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    try:
        with mounted(made / "data", disk) as image, _engine(executor) as engine:
            given = {**(settings or {}), **(_of_engine(engine) if engine else {})}
            rig = Rig(made, chance, executor, long, image, given, engine)
            with _served(rig):
                _provide(rig)
                yield rig
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _engine(executor: str) -> Iterator[Engine | None]:
    """Docker of our own, with an image of the sandboxes' base system."""
    if executor != "docker":
        yield None
        return
    base = provide_base_system(provisions(), Settings().debian_mirror)
    with tempfile.TemporaryDirectory(prefix="headrace-engine-") as place:
        engine = Engine("docker", Path(place) / "docker")
        try:
            engine.start()
            import_image(engine.socket, base)
            yield engine
        finally:
            engine.stop()


def _of_engine(engine: Engine) -> Mapping[str, object]:
    # Docker has no ids for each container.
    return {"docker_host": engine.socket, "docker_image": IMAGE, "accept_weaker_sandbox": "H7"}


def _provide(rig: Rig) -> None:
    """Once on a machine: what every build needs is fetched, which takes longer than a fault may."""
    needed = [provisions() / "tools", *([provisions() / "base"] if rig.executor == "oci" else [])]
    if not all(list(place.glob("[!.]*")) for place in needed):
        rig.server.until_ended(rig.counting(lines=1).id, seconds=280)
    # Beside this one, another's machine may lose its power (F66): what is not known to be on the disk is gone then.
    Layers(provisions() / "tools").settle()


@contextmanager
def _served(rig: Rig) -> Iterator[None]:
    try:
        rig.server.start()
        yield
    finally:
        rig.at_end.close()
        rig.server.close()
        for pid in rig.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Visitor:
    """Asks for a site's page again and again, and notes what is not one of its releases. A server that is away is no answer."""

    def __init__(self, url: str, slug: str, releases: Sequence[str]) -> None:
        self._url, self._slug, self._releases = url, slug, releases
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._visit, daemon=True)
        self.asked = 0
        self.wrong: list[str] = []

    def __enter__(self) -> "Visitor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(30)

    def _visit(self) -> None:
        headers = {"Host": f"{self._slug}.localhost:{self._url.rpartition(':')[2]}"}
        with httpx2.Client(base_url=self._url, headers=headers, timeout=30) as http:
            while not self._end.is_set():
                with suppress(httpx2.TransportError):
                    self._look(http.get("/"))
                time.sleep(0.002)

    def _look(self, answer: httpx2.Response) -> None:
        self.asked += 1
        if answer.status_code != 200 or not any(release in answer.text for release in self._releases):
            self.wrong.append(f"{answer.status_code} {answer.text[:200]}")
