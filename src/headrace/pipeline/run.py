"""The order of a build: one line for each stage, each given what the one before it made."""

import asyncio
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import Any

import structlog

from headrace.diagnostics.fit import fitted
from headrace.disk import storage_errors
from headrace.errors import LeaseLost, StepFailed, StoreFull, Unavailable, found
from headrace.model.artifact import Artifact
from headrace.model.build import Build, BuildStatus, receipt_of
from headrace.model.deployment import Deployment
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.event import BuildCompleted, BuildStarted
from headrace.pipeline.artifact import publish_artifact
from headrace.pipeline.broken import may_pass, our_fault
from headrace.pipeline.build import run_build_command
from headrace.pipeline.context import Context
from headrace.pipeline.dependencies import dependency_layer
from headrace.pipeline.deploy import Cancelled, address, deploy
from headrace.pipeline.plan import plan_build
from headrace.pipeline.reuse import reuse_result
from headrace.pipeline.source import resolve_version
from headrace.pipeline.verify import verify_output
from headrace.records import builds, deployments

_log = structlog.get_logger(__name__)

#: Attempts at a build that may end by what passes. A worker makes one within five seconds of the one before.
_ATTEMPTS = 5


async def change_to_address(ctx: Context) -> tuple[Artifact, Deployment, bool] | None:
    """A change in, an address out; and whether the result came from the cache. None where only dependencies were asked for."""
    async with AsyncExitStack() as held:
        version = await resolve_version(ctx)
        planned = await plan_build(ctx, version, held)
        if ctx.build.options.dependencies_only:
            await dependency_layer(ctx, planned, held)
            return None
        if artifact := await reuse_result(ctx, version, planned):
            return artifact, await deploy(ctx, artifact), True
        layer = await dependency_layer(ctx, planned, held)
        built = await run_build_command(ctx, planned, layer, held)
        output = await verify_output(ctx, planned, built)
        artifact = await publish_artifact(ctx, planned, built, output)
        return artifact, await deploy(ctx, artifact), False


async def run_build(ctx: Context) -> Build:
    """
    Take the build to its end and record it. A failed or timed-out build is a result.

    Cancelling this call records nothing: the build goes on in its sandbox, and the next attempt picks it up. A wish to
    cancel the *build* is told by `ctx.cancelled`. Raises LeaseLost when another worker has it, and what passes, such as a busy
    database, unless that has ended `_ATTEMPTS` attempts: then it is the build's end.
    """
    ctx.record(
        BuildStarted(build_id=ctx.build.id, worker=ctx.lease.worker, fence=ctx.lease.fence, executor=ctx.executor.name)
    )
    try:
        with storage_errors():
            ended = await _outcome(ctx)
    except (LeaseLost, asyncio.CancelledError):
        raise
    except Exception as exc:
        if may_pass(exc) and ctx.lease.fence < _ATTEMPTS:
            raise
        _log.exception("build broke", build_id=ctx.build.id)
        ended = _failed(ctx, our_fault(ctx.at[0], exc))
    return await _complete(ctx, ended)


async def _outcome(ctx: Context) -> BuildCompleted:
    if ctx.lease.fence > 1 and (deployment := await _deployment(ctx)):
        # An earlier attempt came this far and could not say so. What it was made of may have gone with the machine.
        return _succeeded(ctx, deployment, cached=False)
    seconds = _remaining(ctx.build)
    if seconds is not None and seconds <= 0:
        # An earlier attempt's time was over, and it died before it could say so. What ran must not run again.
        return await _stopped(ctx)
    work = asyncio.create_task(change_to_address(ctx), name=f"build {ctx.build.id}")
    wish = asyncio.create_task(ctx.cancelled.wait())
    writing = asyncio.create_task(ctx.keep_writing())
    try:
        await asyncio.wait({work, wish, writing}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if writing.done():
            writing.result()
        if not work.done():
            await _stop(work)
            return await _stopped(ctx)
        made = work.result()
    except Cancelled:
        return _cancelled(ctx)
    except StepFailed as stopped:
        return _cancelled(ctx) if ctx.cancelled.is_set() else _failed(ctx, stopped.failure)
    finally:
        wish.cancel()
        await _stop(work)
        await _stop(writing)
    if made is None:
        return BuildCompleted(build_id=ctx.build.id, status=BuildStatus.SUCCEEDED, seconds=0)
    _, deployment, cached = made
    return _succeeded(ctx, deployment, cached=cached)


async def _stopped(ctx: Context) -> BuildCompleted:
    """The end of a build whose stages were stopped, by a wish or by its time limit. What visitors see already has succeeded."""
    if deployment := await _deployment(ctx):
        return _succeeded(ctx, deployment, cached=False)
    return _cancelled(ctx) if ctx.cancelled.is_set() else _failed(ctx, _timeout(ctx))


async def _deployment(ctx: Context) -> Deployment | None:
    async with ctx.services.db.write(durable=False) as c:  # behind the deployment, should it be under way
        return await deployments.of_build(c, ctx.build.id)


async def _stop(work: asyncio.Task[Any]) -> None:
    """Cancel the stages and wait for their clean-up: sandboxes are closed when this returns."""
    if not work.done():
        work.cancel()
        await asyncio.wait({work})


async def _complete(ctx: Context, ended: BuildCompleted) -> Build:
    if ended.status is not BuildStatus.SUCCEEDED:
        # First how the commands ended: whoever takes over from here finds no sandbox that could say it.
        with suppress(StoreFull, Unavailable):
            await ctx.flush()
        # Something may still run; an ended build has nothing that does.
        await ctx.close_sandboxes()
    await ctx.flush()
    row = await load_build(ctx)
    started = row.started_at or row.created_at
    seconds = (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds()
    ctx.record(
        ended.but(
            seconds=round(max(0.0, seconds), 3),
            receipt=receipt_of(row.commands),
            version_id=row.version_id,
            result_key=row.result_key,
        )
    )
    await ctx.flush(close=True)
    await ctx.clear()
    return await load_build(ctx)


async def load_build(ctx: Context) -> Build:
    async with ctx.services.db.read() as c:
        return found(await builds.get(c, ctx.build.id), ctx.build.id)


def _remaining(build: Build) -> float | None:
    """Seconds that the build's own time limit leaves, across attempts."""
    if build.options.seconds is None:
        return None
    started = datetime.fromisoformat(build.started_at) if build.started_at else datetime.now(UTC)
    return build.options.seconds - (datetime.now(UTC) - started).total_seconds()


def _succeeded(ctx: Context, deployment: Deployment, *, cached: bool) -> BuildCompleted:
    return BuildCompleted(
        build_id=ctx.build.id,
        status=BuildStatus.SUCCEEDED,
        seconds=0,
        artifact=deployment.artifact,
        deployment_id=deployment.id,
        url=address(ctx),
        cached=cached,
    )


def _failed(ctx: Context, failure: Failure) -> BuildCompleted:
    # Whatever raised it: a refusal of the plan may hold paths that strangers made long.
    return BuildCompleted(build_id=ctx.build.id, status=BuildStatus.FAILED, seconds=0, failure=fitted(failure))


def _cancelled(ctx: Context) -> BuildCompleted:
    return BuildCompleted(build_id=ctx.build.id, status=BuildStatus.CANCELLED, seconds=0)


def _timeout(ctx: Context) -> Failure:
    return Failure(
        reason=FailureReason.TIMEOUT,
        step=ctx.at[0],
        message=f"the build was stopped after its time limit of {ctx.build.options.seconds:g} s",
        hint="give it more with --timeout",
    )
