"""What every stage of one build is given: the parts, the build, the right to write, and the door for facts."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from headrace.errors import StepFailed
from headrace.executor.base import Executor, Sandbox
from headrace.model.build import Build, StepStatus
from headrace.model.event import Event, StepCompleted, StepStarted
from headrace.model.job import Lease
from headrace.model.plan import BuildPlan, StepId
from headrace.model.project import Project
from headrace.model.sandbox import SandboxSpec
from headrace.model.version import Tree
from headrace.pipeline.services import Services


@dataclass(frozen=True)
class Planned:
    """A plan with the tree it was made for, and where that tree lies written out."""

    plan: BuildPlan
    tree: Tree
    directory: Path


@dataclass(frozen=True)
class Built:
    """The working directory after the build, open for reading, and where in it the output is."""

    tree_fd: int
    directory: str


@dataclass
class Step:
    """A running step. The stage fills in what people will read of it."""

    id: StepId
    summary: str = ""
    cached: bool = False
    #: Nothing was to be done.
    skipped: bool = False


@dataclass(frozen=True, kw_only=True)
class Context:
    """One attempt at one build."""

    services: Services
    project: Project
    build: Build
    lease: Lease
    executor: Executor
    #: Set when somebody wants the build to end.
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    #: The step that runs now; a failure outside a step's own reasons is put down to it.
    at: list[StepId] = field(default_factory=lambda: [StepId.SOURCE])
    _open: dict[str, Sandbox] = field(default_factory=dict)

    @property
    def scratch(self) -> Path:
        """This build's own directory, removed when the build has ended."""
        return self.services.settings.data_dir / "builds" / self.build.id

    @property
    def log(self) -> Path:
        return self.services.events.path(self.build.id)

    async def record(self, event: Event, *, close: bool = False) -> Event:
        """Append a fact of this build. Raises LeaseLost when another worker has taken it over."""
        return await self.services.journal.record(event, lease=self.lease, close=close)

    async def open_sandbox(self, spec: SandboxSpec) -> Sandbox:
        """
        Open a sandbox that lives until `close_sandboxes`.

        Stages don't close theirs: when this process is told to stop, the commands go on without it, and the worker that
        takes the build over follows them to their end.
        """
        sandbox = self._open[spec.id] = await self.executor.open(spec)
        return sandbox

    async def close_sandboxes(self) -> None:
        """Kill what runs, remove every sandbox of this build."""
        while self._open:
            _, sandbox = self._open.popitem()
            await sandbox.close()

    @asynccontextmanager
    async def step(self, step_id: StepId) -> AsyncIterator[Step]:
        """Record the begin and the end of a step, however it ends."""
        self.at[:] = [step_id]
        started = time.monotonic()
        await self.record(StepStarted(build_id=self.build.id, step=step_id))
        step = Step(step_id)
        try:
            yield step
        except StepFailed:
            await self._ended(step, StepStatus.FAILED, started)
            raise
        await self._ended(step, StepStatus.SKIPPED if step.skipped else StepStatus.SUCCEEDED, started)

    async def _ended(self, step: Step, status: StepStatus, started: float) -> None:
        await self.record(
            StepCompleted(
                build_id=self.build.id,
                step=step.id,
                status=status,
                seconds=round(time.monotonic() - started, 3),
                cached=step.cached,
                summary=step.summary,
            )
        )
