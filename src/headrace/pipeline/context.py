"""What every stage of one build is given: the parts, the build, the right to write, and the door for facts."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from headrace.disk import locked, remove_tree
from headrace.errors import LeaseLost, NotFetched, StepFailed
from headrace.executor.base import Executor, Sandbox
from headrace.model.build import Build, StepStatus
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.event import Event, SetupCompleted, SetupStarted, StepCompleted, StepStarted
from headrace.model.job import Lease
from headrace.model.plan import StepId
from headrace.model.project import Project
from headrace.model.sandbox import SandboxSpec, SetupStep
from headrace.pipeline.offline import missing
from headrace.pipeline.services import Services
from headrace.records import builds

#: Steps that run a command in a sandbox.
SANDBOXED = (StepId.DEPENDENCIES, StepId.BUILD)

#: Names of all previews' sandboxes begin so.
_PREVIEW = "preview."

#: Between two looks whether another attempt has done with moving.
_MOVING_SECONDS = 0.05

#: How long a fact may wait for company. Far below what a person sees.
WRITE_WITHIN_SECONDS = 0.02


def sandbox_name(build_id: str, step: StepId) -> str:
    """The same in every attempt at a build: a successor finds the sandbox and follows the command that runs in it."""
    return f"{build_id}-{step}"


def preview_sandboxes(worker: str) -> str:
    """Names of a process's preview sandboxes begin so: they are left-overs when it is dead."""
    return f"{_PREVIEW}{worker}."


def is_preview(sandbox: str) -> bool:
    """Whether a sandbox is a preview's, by its name."""
    return sandbox.startswith(_PREVIEW)


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
    _pending: list[Event] = field(default_factory=list)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def scratch(self) -> Path:
        """This build's own directory, removed when the build has ended."""
        return self.services.settings.data_dir / "builds" / self.build.id

    @property
    def log(self) -> Path:
        return self.services.events.path(self.build.id)

    def record(self, event: Event) -> None:
        """
        Note a fact of this build. It is written within `WRITE_WITHIN_SECONDS`, with those that come in the same moment: a
        transaction for each of a step's facts would cost a quick build more than its command.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._pending.append(event.model_copy(update={"ts": now}))
        self._wake.set()

    async def flush(self, *, close: bool = False) -> None:
        """Write what was noted. Raises LeaseLost when another worker has taken the build over."""
        # Whoever is cancelled while he waits must not leave it open whether the facts were written.
        await asyncio.shield(self._write(close=close))

    async def _write(self, *, close: bool) -> None:
        async with self._writing:
            batch = self._pending[:]
            if batch:
                await self.services.journal.record_all(batch, lease=self.lease, close=close)
                del self._pending[: len(batch)]

    async def keep_writing(self) -> None:
        """Write facts as they come, until cancelled. Raises what `flush` raises."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(WRITE_WITHIN_SECONDS)
            self._wake.clear()
            await self.flush()

    def lost(self) -> LeaseLost:
        return LeaseLost(f"{self.lease.worker} no longer holds {self.build.id}")

    @asynccontextmanager
    async def moving(self) -> AsyncIterator[None]:
        """What a command wrote is moved away by one attempt at a time, and by none that has lost the build. Raises LeaseLost."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        while True:
            with locked(self.scratch / "moving") as mine:
                if mine:
                    async with self.services.db.read() as c:
                        if not await builds.holds(c, self.lease):
                            raise self.lost()
                    yield
                    return
            await asyncio.sleep(_MOVING_SECONDS)

    async def open_sandbox(self, spec: SandboxSpec) -> Sandbox:
        """
        Open a sandbox that lives until `close_sandboxes`.

        Stages don't close theirs: when this process is told to stop, the commands go on without it, and the worker that
        takes the build over follows them to their end.
        """
        await self._refuse_lost(spec.id)
        if not spec.offline:  # it may fetch something
            await self.executor.prepare(self._tell_of_setup)
        opening = asyncio.create_task(self._opened(spec))
        try:
            return await asyncio.shield(opening)
        finally:
            # Its directory is made by a thread, which nobody can stop: whoever closes the sandboxes must find it.
            await asyncio.gather(opening, return_exceptions=True)

    async def _opened(self, spec: SandboxSpec) -> Sandbox:
        try:
            sandbox = self._open[spec.id] = await self.executor.open(spec)
        except NotFetched as exc:
            raise missing(self.at[0], exc.message) from exc
        return sandbox

    def _tell_of_setup(self, step: SetupStep) -> None:
        about = {"build_id": self.build.id, "work": step.work, "message": step.message}
        self.record(SetupStarted(**about) if step.seconds is None else SetupCompleted(**about, seconds=step.seconds))

    async def _refuse_lost(self, sandbox: str) -> None:
        """
        A command that an earlier attempt ran, and whose sandbox is gone: the machine went down. Raises StepFailed, because a second
        run would print everything again.
        """
        for command in self.build.commands:
            if command.failed or sandbox_name(self.build.id, command.step) != sandbox:
                continue
            if sandbox in await self.executor.existing():
                return
            when = "while the command ran" if command.seconds is None else "before what the command made was kept"
            raise StepFailed(
                Failure(
                    reason=FailureReason.SANDBOX_DIED,
                    step=command.step,
                    message=f"the machine went down {when}",
                    hint="build again",
                    command=command.argv,
                )
            )

    async def close_sandboxes(self) -> None:
        """Kill what runs, remove every sandbox of this build, also those that an earlier attempt opened."""
        while self._open:
            _, sandbox = self._open.popitem()
            await sandbox.close()
        for step in SANDBOXED:
            await self.executor.discard(sandbox_name(self.build.id, step))

    async def clear(self) -> None:
        """Nothing of a build that has ended is left in sandboxes and scratch directories."""
        await self.close_sandboxes()
        await asyncio.to_thread(remove_tree, self.scratch)

    @asynccontextmanager
    async def step(self, step_id: StepId) -> AsyncIterator[Step]:
        """Record the begin and the end of a step, however it ends."""
        self.at[:] = [step_id]
        started = time.monotonic()
        self.record(StepStarted(build_id=self.build.id, step=step_id))
        step = Step(step_id)
        try:
            yield step
        except StepFailed:
            self._ended(step, StepStatus.FAILED, started)
            raise
        self._ended(step, StepStatus.SKIPPED if step.skipped else StepStatus.SUCCEEDED, started)

    def _ended(self, step: Step, status: StepStatus, started: float) -> None:
        self.record(
            StepCompleted(
                build_id=self.build.id,
                step=step.id,
                status=status,
                seconds=round(time.monotonic() - started, 3),
                cached=step.cached,
                summary=step.summary,
            )
        )
