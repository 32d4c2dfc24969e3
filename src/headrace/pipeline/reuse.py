"""Reuse: what was built from the same inputs is not built again."""

import asyncio

from headrace.model.artifact import Artifact
from headrace.model.build import Build
from headrace.model.digest import Digest
from headrace.model.event import CacheDecision
from headrace.model.plan import CacheKey, StepId
from headrace.model.project import Project
from headrace.model.version import Version
from headrace.pipeline.context import Context
from headrace.pipeline.services import Services
from headrace.pipeline.values import Planned
from headrace.plan.explain import explain
from headrace.plan.layer_key import first_difference, result_key
from headrace.records import artifacts, builds, results


def key_of_result(services: Services, project: Project, version: Version, planned: Planned) -> CacheKey:
    return result_key(planned.plan, version.tree, project.settings.env, services.base_system)


async def reuse_result(ctx: Context, version: Version, planned: Planned) -> Artifact | None:
    """The artifact when an equal build of this project has made it already."""
    key = key_of_result(ctx.services, ctx.project, version, planned)
    made_by, artifact, seconds = None, None, None
    if not ctx.build.options.force:
        made_by, artifact, seconds = await _made_before(ctx.services, ctx.project, key.digest)
    async with ctx.services.db.read() as c:
        before = await results.last_inputs(c, ctx.project.id, "result")
    differs = None if artifact else first_difference(key, before)
    ctx.record(
        CacheDecision(
            build_id=ctx.build.id,
            step=StepId.PLAN,
            cache="result",
            key=key,
            hit=artifact is not None,
            differs=differs,
            explanation=explain(
                "result", key, hit=artifact is not None, differs=differs, seconds_saved=seconds, made_by=made_by
            ),
            seconds_saved=seconds,
            made_by=made_by,
        )
    )
    if artifact is None and not ctx.build.options.force and await _twin_ended(ctx, key.digest):
        _, artifact, _ = await _made_before(ctx.services, ctx.project, key.digest)
    return artifact


async def built_before(services: Services, project: Project, key: Digest) -> Build | None:
    """The newest succeeded build of this project with these inputs, if its artifact is still there."""
    async with services.db.read() as c:
        build = await builds.find_result(c, key, project_id=project.id)
    if build is None or build.artifact is None or await services.store.missing([build.artifact]):
        return None
    return build


async def _made_before(
    services: Services, project: Project, key: Digest
) -> tuple[str | None, Artifact | None, float | None]:
    build = await built_before(services, project, key)
    if build is None or build.artifact is None:
        return None, None, None
    async with services.db.read() as c:
        result = await results.get(c, key, project_id=project.id)
        return build.id, await artifacts.get(c, build.artifact), result.seconds if result else None


async def _twin_ended(ctx: Context, key: Digest) -> bool:
    """
    Wait for an older unfinished build with the same key. True if there was one.

    Only an older one is waited for, so that two never wait for each other.
    """
    async with ctx.services.db.read() as c:
        twin = await builds.with_key_running(c, key, project_id=ctx.project.id, older_than=ctx.build.id)
    if twin is None:
        return False
    while True:
        async with ctx.services.db.read() as c:
            now = await builds.get(c, twin.id)
        if now is None or now.status.terminal:
            return True
        await asyncio.sleep(0.05)
