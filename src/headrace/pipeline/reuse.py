"""Reuse: what was built from the same inputs is not built again."""

import asyncio
from typing import NamedTuple

from headrace.executor.base import Executor
from headrace.model.artifact import Artifact
from headrace.model.build import Build
from headrace.model.digest import Digest
from headrace.model.event import CacheDecision
from headrace.model.plan import CacheKey, StepId
from headrace.model.project import Project
from headrace.model.trust import Trust
from headrace.model.version import Version
from headrace.pipeline.context import Context
from headrace.pipeline.secrets import fingerprints
from headrace.pipeline.services import Services
from headrace.pipeline.trust import readable, scope
from headrace.pipeline.values import Planned
from headrace.plan.explain import explain
from headrace.plan.layer_key import first_difference, result_key
from headrace.records import artifacts, builds, results

#: How soon it is seen that an equal build has ended.
_LOOK_SECONDS = 0.05


class _Found(NamedTuple):
    """A result that was made before, and whose it is."""

    build: Build
    artifact: Artifact
    seconds: float | None
    key: CacheKey
    trust: Trust


async def key_of_result(
    services: Services,
    executor: Executor,
    project: Project,
    version: Version,
    planned: Planned,
    trust: Trust = Trust.TRUSTED,
) -> CacheKey:
    """The key under which a build of this trust in this executor saves its result."""
    own = None if trust is Trust.TRUSTED else scope(project, trust)
    secrets = await fingerprints(services, project, planned.plan) if trust is Trust.TRUSTED else {}
    return result_key(
        planned.plan, version.tree, project.settings.env, executor.base_system, secrets=secrets, untrusted=own
    )


async def reuse_result(ctx: Context, version: Version, planned: Planned) -> Artifact | None:
    """The artifact when an equal build of this project has made it already, or makes it now."""
    force = ctx.build.options.force
    found = None if force else await _found(ctx, version, planned)
    key = await _decide(ctx, version, planned, found)
    if found is None and not force:
        # Known to others from now on, before it is looked who else has it.
        await ctx.flush()
        if await _twins_ended(ctx, key.digest) and (found := await _found(ctx, version, planned)):
            await _decide(ctx, version, planned, found)
    return found.artifact if found else None


async def _decide(ctx: Context, version: Version, planned: Planned, found: _Found | None) -> CacheKey:
    """Record what the cache answers; the key of this build's result."""
    trust = found.trust if found else ctx.build.options.trust
    key = found.key if found else await key_of_result(ctx.services, ctx.executor, ctx.project, version, planned, trust)
    async with ctx.services.db.read() as c:
        before = await results.last_inputs(c, ctx.project.id, "result")
    trusted = await key_of_result(ctx.services, ctx.executor, ctx.project, version, planned)
    differs = None if found else first_difference(trusted, before)
    made_by, seconds = (found.build.id, found.seconds) if found else (None, None)
    ctx.record(
        CacheDecision(
            build_id=ctx.build.id,
            step=StepId.PLAN,
            cache="result",
            key=key,
            hit=found is not None,
            differs=differs,
            explanation=explain(
                "result",
                key,
                hit=found is not None,
                differs=differs,
                seconds_saved=seconds,
                made_by=made_by,
                trust=trust,
            ),
            seconds_saved=seconds,
            made_by=made_by,
            trust=trust,
        )
    )
    return key


async def built_before(services: Services, project: Project, key: Digest) -> Build | None:
    """The build of this project that made the result of these inputs, if its artifact is still there."""
    async with services.db.read() as c:
        build = await builds.find_result(c, key, project_id=project.id)
    if build is None or build.artifact is None or await services.store.missing([build.artifact]):
        return None
    return build


async def _found(ctx: Context, version: Version, planned: Planned) -> _Found | None:
    """The result in the first of the tiers that this build may read and that has it."""
    for trust in readable(ctx.build.options.trust):
        key = await key_of_result(ctx.services, ctx.executor, ctx.project, version, planned, trust)
        build = await built_before(ctx.services, ctx.project, key.digest)
        if build is None or build.artifact is None:
            continue
        async with ctx.services.db.read() as c:
            result = await results.get(c, key.digest, project_id=ctx.project.id)
            artifact = await artifacts.get(c, build.artifact)
        if artifact is not None:
            return _Found(build, artifact, result.seconds if result else None, key, trust)
    return None


async def _twins_ended(ctx: Context, key: Digest) -> bool:
    """
    Wait while a worker has an older build with the same key. True if there was one, whatever came of it.

    Only an older one is waited for, so that two never wait for each other; and only one that somebody works on, because
    whoever waits keeps others from starting: a build whose worker died might wait for just that.
    """
    waited = False
    while True:
        async with ctx.services.db.read() as c:
            twin = await builds.twin_at_work(c, key, project_id=ctx.project.id, older_than=ctx.build.id)
        if twin is None:
            return waited
        waited = True
        await asyncio.sleep(_LOOK_SECONDS)
