"""Running one planned command in a sandbox, with its facts recorded and its failure explained."""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path, PurePosixPath

from headrace.diagnostics.diagnose import diagnose
from headrace.diagnostics.network import blamed_on_absence, blamed_on_denial, blamed_on_limit
from headrace.errors import StepFailed
from headrace.executor.base import Sandbox
from headrace.layers.layers import pinned
from headrace.layers.toolchain import bin_directories, mount_point, nested_calls, provide, tool_key
from headrace.logreader import log_lines, network_refusals
from headrace.model.build import CommandState
from headrace.model.event import BuildDiagnostic, CommandCompleted, CommandStarted, LogTruncated
from headrace.model.limits import NetworkPhase
from headrace.model.plan import PlannedCommand, StepId, Tool
from headrace.model.sandbox import (
    WORKING_DIRECTORY,
    CommandResult,
    Egress,
    KillReason,
    OwnRegistry,
    SandboxCommand,
    SandboxMount,
    SandboxSpec,
)
from headrace.pipeline.context import Context, sandbox_name
from headrace.pipeline.network import record_network
from headrace.pipeline.offline import missing
from headrace.pipeline.secrets import granted, secret_like, shown_env
from headrace.pipeline.services import Services
from headrace.pipeline.values import Planned
from headrace.plan.project_files import DirectoryFiles
from headrace.settings import Settings


async def step_tools(
    ctx: Context, step: StepId, tools: Collection[Tool], pins: AsyncExitStack
) -> tuple[SandboxMount, ...]:
    """
    Tool chains of a step, which stay until `pins` is closed. Raises StepFailed when one would have to be fetched and may not be.
    """
    if ctx.build.options.offline:
        lacking = [tool for tool in tools if ctx.services.tools.find(tool_key(tool).digest) is None]
        if lacking:
            raise missing(step, " and ".join(f"the tool {tool.name} {tool.version}" for tool in lacking))
    return await tool_mounts(ctx.services, tools, pins)


async def tool_mounts(services: Services, tools: Collection[Tool], pins: AsyncExitStack) -> tuple[SandboxMount, ...]:
    """They stay until `pins` is closed. Raises what `provide` does."""

    async def mount(tool: Tool) -> SandboxMount:
        layer = await pinned(
            services.tools, partial(provide, services.tools, tool, services.settings.npm_registry), pins
        )
        return SandboxMount(source=layer.path, target=mount_point(tool))

    return tuple(await asyncio.gather(*map(mount, tools)))


def sandbox_spec(
    ctx: Context, step: StepId, command: PlannedCommand, layers: tuple[Path, ...], mounts: tuple[SandboxMount, ...]
) -> SandboxSpec:
    return SandboxSpec(
        id=sandbox_name(ctx.build.id, step),
        build_id=ctx.build.id,
        layers=layers,
        mounts=mounts,
        limits=command.limits,
        offline=ctx.build.options.offline,
    )


async def run_command(
    ctx: Context,
    sandbox: Sandbox,
    step: StepId,
    command: PlannedCommand,
    planned: Planned,
    *,
    stands_for: PlannedCommand | None = None,
    registry: OwnRegistry | None = None,
) -> CommandResult:
    """
    Run `command` to its end, with a `registry` of its own where there is one. Raises StepFailed, with the reason and the
    diagnostics, when it does not succeed; the failure names the command that it `stands_for`.
    """
    secrets = await granted(ctx, command.secrets, step)
    env = {**environment(ctx, step, command, planned), **secrets}
    network = NetworkPhase.NONE if ctx.build.options.offline else command.network
    request = SandboxCommand(
        index=0,
        step=step,
        argv=command.argv,
        directory=str(PurePosixPath(WORKING_DIRECTORY, command.directory)),
        env=env,
        secrets=tuple(sorted({*secrets, *secret_like(ctx.project.settings.env)} & env.keys())),
        egress=egress(ctx.services.settings, network).but(registry=registry),
        limits=command.limits,
    )
    before = next((c for c in ctx.build.commands if c.step == step), None)
    if before is None:
        ctx.record(
            CommandStarted(build_id=ctx.build.id, step=step, argv=command.argv, env=tuple(sorted(env)), network=network)
        )
    # What came before the command stands in the log before what it prints.
    await ctx.flush()
    result = _known_end(before)
    if result is None:
        result = await sandbox.run(request, ctx.log)
        if before is None or before.seconds is None:
            # First, so that a successor that knows how it ended knows this too.
            await record_network(ctx, step, result.network)
            if result.output.unsaid_bytes:
                ctx.record(LogTruncated(build_id=ctx.build.id, step=step, bytes=result.output.unsaid_bytes))
            ctx.record(_completed(ctx, step, result))
    if result.exit_code == 0 and result.killed_by is None:
        return result
    files = [file.path for file in planned.tree.files]
    read = DirectoryFiles(planned.directory).read
    failure = await asyncio.to_thread(
        diagnose, step, stands_for or command, result, log_lines(ctx.log, step), files, read
    )
    refusals = await asyncio.to_thread(network_refusals, ctx.log, step)
    failure = blamed_on_denial(blamed_on_absence(failure, refusals.unreachable), refusals.denied)
    failure = blamed_on_limit(failure, refusals.limit)
    for diagnostic in failure.diagnostics:
        ctx.record(BuildDiagnostic(build_id=ctx.build.id, step=step, diagnostic=diagnostic))
    raise StepFailed(failure)


def _known_end(before: CommandState | None) -> CommandResult | None:
    """
    How a command failed in an earlier attempt that died with the build's end unsaid. Its sandbox is gone by then, and a second
    run would print everything again.
    """
    if before is None or before.seconds is None or not before.failed:
        return None
    return CommandResult(
        exit_code=before.exit_code,
        killed_by=KillReason(before.killed_by) if before.killed_by else None,
        seconds=before.seconds,
        peak_memory_bytes=before.peak_memory_bytes,
        cpu_seconds=before.cpu_seconds,
    )


def environment(ctx: Context, step: StepId, command: PlannedCommand, planned: Planned) -> Mapping[str, str]:
    """
    The whole environment of a command. What a project sets wins, except where tools are found.

    Nothing here marks another host (`VERCEL`, `NETLIFY`, `CF_PAGES`): frameworks would write programs for it.
    """
    tools = planned.plan.tools
    own = {
        "CI": "true",
        "FORCE_COLOR": "1",
        "HEADRACE": "1",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        **nested_calls(tools),
    }
    # A project's variables are no input of its layer, so an install must not see them; nor must it see where a version is from.
    installs = step is StepId.DEPENDENCIES
    theirs = {} if installs else {**_where_from(planned), **shown_env(ctx)}
    return {**own, **theirs, **command.env, "PATH": search_path(command.directory, tools)}


def _where_from(planned: Planned) -> dict[str, str]:
    """No part of the result's key: equal files are built once, whichever commit they came with first."""
    known = {"HEADRACE_COMMIT": planned.commit, "HEADRACE_BRANCH": planned.branch}
    return {name: value for name, value in known.items() if value}


def search_path(directory: str, tools: Collection[Tool]) -> str:
    """`PATH` of a command in `directory`: the project's own programs first, then its tool chains."""
    binaries = [str(PurePosixPath(WORKING_DIRECTORY, where, "node_modules/.bin")) for where in {directory, ""}]
    chain = [below for tool in tools for below in bin_directories(tool)]
    return ":".join([*sorted(binaries, reverse=True), *chain, "/usr/local/bin", "/usr/bin", "/bin"])


def egress(settings: Settings, phase: NetworkPhase) -> Egress:
    hosts = settings.registry_hosts if phase in (NetworkPhase.REGISTRIES, NetworkPhase.INTERNET) else ()
    # What a project's own build sends is its own; what packages send while they are installed can only be somebody else's.
    sent = settings.network_upload_bytes if phase is NetworkPhase.REGISTRIES else settings.network_bytes
    return Egress(
        phase=phase,
        hosts=hosts,
        bytes=settings.network_bytes,
        upload_bytes=sent,
        connections=settings.network_connections,
    )


def _completed(ctx: Context, step: StepId, result: CommandResult) -> CommandCompleted:
    return CommandCompleted(
        build_id=ctx.build.id,
        step=step,
        exit_code=result.exit_code,
        killed_by=result.killed_by,
        seconds=round(result.seconds, 3),
        peak_memory_bytes=result.peak_memory_bytes,
        cpu_seconds=result.cpu_seconds,
        lines=result.output.lines,
        bytes=result.output.bytes,
        sha256=result.output.sha256,
        truncated_bytes=result.output.truncated_bytes,
        background_killed=result.background_killed,
    )
