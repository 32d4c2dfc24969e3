"""One warm builder: a sandbox with a driver's command in it, over a version's files and its dependency layer."""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count

from headrace.errors import ExecutorUnavailable
from headrace.executor.base import Sandbox
from headrace.layers.layers import Layer
from headrace.layers.toolchain import nested_calls
from headrace.masking import Masker
from headrace.model.diagnostic import LogLine
from headrace.model.digest import Digest
from headrace.model.limits import Limits
from headrace.model.plan import BuildPlan, StepId
from headrace.model.preview import PreviewMode
from headrace.model.project import Project
from headrace.model.sandbox import (
    WORKING_DIRECTORY,
    CommandResult,
    HostUse,
    KillReason,
    SandboxCommand,
    SandboxFile,
    SandboxMount,
    SandboxSpec,
)
from headrace.model.version import Tree
from headrace.pipeline.command import egress, search_path, tool_mounts
from headrace.pipeline.context import preview_sandboxes
from headrace.pipeline.secrets import reveal, secret_like
from headrace.pipeline.services import Services
from headrace.pipeline.values import Planned
from headrace.plan.project_files import DirectoryFiles
from headrace.preview.base import MOUNTED, PROGRAM, Builder, Driver, Outcome, Setup
from headrace.preview.choice import Choice
from headrace.preview.difference import Difference
from headrace.preview.earlier_life import EarlierLife
from headrace.preview.output import OutputReader, Shown
from headrace.preview.printed import PrintedLines
from headrace.preview.visit import Upstream

#: A preview runs until it is put to sleep. Long enough never to be met, short enough for every clock.
_NO_LIMIT_SECONDS = 10 * 365 * 86400.0
#: How long the result of a command that has ended may take to be written.
_END_SECONDS = 5.0
_KILLED = {
    KillReason.MEMORY: "it used more memory than it may",
    KillReason.DISK: "it wrote more than it may",
    KillReason.PROCESSES: "it started processes without end",
    KillReason.LOST: "its sandbox was lost",
}

_numbers = count(1)


class Warm:
    """Made ready by `prepare`, then by `start`. Its calls are made one at a time, except `close`."""

    def __init__(
        self, services: Services, project: Project, choice: Choice, planned: Planned, key: Digest | None
    ) -> None:
        self.choice = choice
        self.plan: BuildPlan = planned.plan
        #: The dependency layer it runs on.
        self.layer_key = key
        #: What its working directory holds of the project.
        self.tree: Tree = planned.tree
        self.upstream: Upstream | None = None
        self._services = services
        self._project = project
        self._planned = planned
        self._name = f"{preview_sandboxes(services.worker)}{next(_numbers)}"
        settings = services.settings
        self._limits = Limits(
            seconds=_NO_LIMIT_SECONDS,
            cpus=settings.cpus,
            memory_bytes=settings.preview_sandbox_bytes,
            disk_bytes=settings.disk_bytes,
            disk_files=settings.disk_files,
            log_bytes=settings.preview_log_bytes,
        )
        self._life = EarlierLife(services.layers, settings.data_dir, project, key, choice)
        self._held = AsyncExitStack()
        self._keep: Sequence[str] = ()
        self._worked = False
        self._hidden: Sequence[str] = ()
        self._reader: OutputReader | None = None
        self._network: Sequence[HostUse] = ()
        self._sandbox: Sandbox
        self._builder: Builder
        self._run: asyncio.Task[CommandResult]

    @property
    def driver(self) -> Driver:
        assert self.choice.driver is not None  # noqa: S101 - only warm ones are made
        return self.choice.driver

    @property
    def ended(self) -> bool:
        return self._run.done()

    async def prepare(self, layer: Layer | None, later: Difference, contents: Mapping[str, bytes], tree: Tree) -> None:
        """
        Open the sandbox, with what the version has and the planned tree has not. Whoever calls it calls `close`, also when it
        failed. Raises NotFound when the planned tree or the layer was cleared away, and ExecutorUnavailable.
        """
        held, services = self._held, self._services
        held.enter_context(services.trees.pin(self._planned.digest))
        if layer is not None:
            held.enter_context(services.layers.pin(layer.key.digest))
        earlier = held.enter_context(self._life.pinned())
        below = (layer.path, self._planned.directory) if layer else (self._planned.directory,)
        mounts = await tool_mounts(services, self.plan.tools, held)
        spec = SandboxSpec(
            id=self._name,
            project_id=self._project.id,
            layers=(*earlier, *below) if layer else below,
            mounts=(*mounts, SandboxMount(source=PROGRAM, target=MOUNTED)),
            limits=self._limits,
        )
        self._sandbox = await services.executor_for(None).open(spec)
        held.push_async_callback(self._sandbox.close)
        if later:
            await self._write(later, contents)
        self.tree = tree

    async def start(self, on_error: Callable[[Outcome], None]) -> None:
        """Start the command. Raises ExecutorUnavailable. `on_error` gets what goes wrong later, without a change."""
        held, log = self._held, self._services.events.path(self._project.id)
        files = DirectoryFiles(self._planned.directory, [file.path for file in self.tree.files])
        setup = self.driver.setup(self.plan, files, self.choice.mode, self._sandbox.free_port)
        self._keep = setup.keep
        lines = PrintedLines(log)
        command = self._command(setup, await self._secrets())
        self._hidden = command.secret_values
        self._run = asyncio.create_task(self._sandbox.run(command, log), name=self._name)
        held.push_async_callback(self._ended)
        await self._started()
        self._builder = self.driver.attach(setup, self.plan, _Link(self._sandbox, self._run, lines))
        held.push_async_callback(self._builder.close)
        self._builder.on_error(lambda outcome: on_error(self._masked(outcome)))
        if setup.page_port is not None and self.choice.mode is PreviewMode.DEV:
            self.upstream = Upstream(id=self._name, port=setup.page_port, socket=self._sandbox.socket, host=setup.host)
        else:
            settings = self._services.settings
            self._reader = OutputReader(
                setup.output or self.plan.output,
                self.plan.routing,
                most_bytes=settings.preview_output_bytes,
                most_files=settings.output_files,
            )

    async def first(self) -> Outcome:
        outcome = self._told(await self._builder.first())
        self._worked = outcome.ok
        if self.upstream is not None and outcome.page_port is not None:
            self.upstream = replace(self.upstream, port=outcome.page_port, host=_at_port(self.upstream.host, outcome))
        return outcome

    async def source_map(self, path: str) -> bytes | None:
        return None if self.ended else await self._builder.source_map(path)

    async def apply(self, difference: Difference, contents: Mapping[str, bytes], after: Tree) -> Outcome:
        """Bring the working directory to the tree `after` and wait for what comes of it."""
        self._builder.expect()
        await self._write(difference, contents)
        self.tree = after
        return self._told(await self._builder.apply(difference.change))

    async def shown(self) -> Shown | None:
        """What the build wrote; None in dev mode. Raises StepFailed."""
        reader = self._reader
        return await asyncio.to_thread(self._read, reader) if reader is not None else None

    async def memory(self) -> int | None:
        return None if self.ended else await self._sandbox.memory()

    async def until_ended(self) -> str:
        """Wait for the command's end, which nobody asked for; why, in words."""
        await asyncio.wait({self._run})
        return self._why_ended()

    async def close(self) -> Sequence[HostUse]:
        """End it and remove its sandbox. What its connections came to; safe to repeat."""
        await self._held.aclose()
        return self._network

    async def _write(self, change: Difference, contents: Mapping[str, bytes]) -> None:
        files = [
            SandboxFile(path=file.path, data=contents[file.path], executable=file.executable) for file in change.written
        ]
        await self._sandbox.write(files, change.removed)

    def _read(self, reader: OutputReader) -> Shown:
        tree = self._sandbox.open_live()
        try:
            return reader.read(tree)
        finally:
            os.close(tree)

    async def _started(self) -> None:
        try:
            await self._sandbox.running()
        except ExecutorUnavailable:
            # One that has ended already has a result, and the driver says what it printed.
            await asyncio.wait({self._run}, timeout=_END_SECONDS)
            if not self._run.done() or self._run.exception() is not None:
                raise

    async def _ended(self) -> None:
        if self._worked and self._keep and not self.ended:
            await self._sandbox.kill(KillReason.CANCELLED)
            await asyncio.wait({self._run})
            await asyncio.to_thread(self._life.keep, self._keep, self._sandbox.take)
        await self._sandbox.close()
        await asyncio.wait({self._run})
        if not self._run.cancelled() and self._run.exception() is None:
            self._network = self._run.result().network

    def _told(self, outcome: Outcome) -> Outcome:
        return self._explained(self._masked(outcome))

    def _masked(self, outcome: Outcome) -> Outcome:
        """A driver's program tells errors on a way of its own, past the log and its masking."""
        if outcome.ok:
            return outcome
        text = Masker(self._hidden).text
        seen = [
            one.but(message=text(one.message), excerpt=one.excerpt and text(one.excerpt)) for one in outcome.diagnostics
        ]
        return replace(outcome, diagnostics=tuple(seen), message=text(outcome.message))

    def _explained(self, outcome: Outcome) -> Outcome:
        if outcome.ok or not self.ended:
            return outcome
        return Outcome(ok=False, diagnostics=outcome.diagnostics, message=f"the builder ended: {self._why_ended()}")

    def _why_ended(self) -> str:
        try:
            result = self._run.result()
        except (ExecutorUnavailable, asyncio.CancelledError) as exc:
            return str(exc) or "its sandbox was closed"
        if result.disk_limit == "machine":
            return "the disk of this machine is nearly full"
        if result.killed_by is not None:
            return _KILLED.get(result.killed_by, f"it was killed ({result.killed_by})")
        return f"it exited with {result.exit_code}"

    async def _secrets(self) -> dict[str, str]:
        """Those of the build command, for which the builder stands."""
        names = self.plan.build.secrets if self.plan.build else ()
        return await reveal(self._services, self._project, names, StepId.BUILD)

    def _command(self, setup: Setup, secrets: Mapping[str, str]) -> SandboxCommand:
        settings = self._project.settings
        own = {"FORCE_COLOR": "1", "HEADRACE": "1", "HEADRACE_PREVIEW": "1", "LANG": "C.UTF-8", "TZ": "UTC"}
        path = search_path(setup.directory, self.plan.tools)
        return SandboxCommand(
            index=0,
            argv=setup.argv,
            directory=f"{WORKING_DIRECTORY}/{setup.directory}".rstrip("/"),
            env={**own, **nested_calls(self.plan.tools), **settings.env, **setup.env, **secrets, "PATH": path},
            secrets=tuple(sorted({*secrets, *secret_like(settings.env)})),
            egress=egress(self._services.settings, settings.build_network),
            limits=self._limits,
        )


def _at_port(host: str | None, outcome: Outcome) -> str | None:
    """The name by which a server is known, with the port that it chose itself."""
    return None if host is None else f"{host.partition(':')[0]}:{outcome.page_port}"


class _Link:
    """Implements `Link`."""

    def __init__(self, sandbox: Sandbox, run: "asyncio.Task[CommandResult]", lines: PrintedLines) -> None:
        self._sandbox = sandbox
        self._run = run
        self._lines = lines

    def socket(self) -> socket.socket:
        try:
            return self._sandbox.socket()
        except ExecutorUnavailable as exc:
            raise ConnectionRefusedError(str(exc)) from exc

    def lines(self, after: int = 0) -> Sequence[LogLine]:
        return self._lines.after(after)

    @property
    def ended(self) -> bool:
        return self._run.done()
