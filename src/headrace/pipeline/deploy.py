"""
Deploy: an artifact gets an address of its own, and the project's address points at it. One pointer moves.

Nobody but who was trusted moves it: an untrusted build has its own address and no other. After this transaction a build
can't be cancelled any more: who asks before it gets a build that nobody ever sees, who asks after it one that succeeded.
"""

from datetime import UTC, datetime

from headrace.model.artifact import Artifact
from headrace.model.deployment import Deployment
from headrace.model.ids import new_id
from headrace.model.plan import StepId
from headrace.model.trust import Trust
from headrace.pipeline.context import Context
from headrace.records import builds, deployments


class Cancelled(Exception):
    """Somebody wanted the end of the build before it was deployed."""


def build_label(build_id: str) -> str:
    """Host label of a build's own address."""
    return build_id.removeprefix("build_")


async def deploy(ctx: Context, artifact: Artifact) -> Deployment:
    async with ctx.step(StepId.DEPLOY) as step:
        label = build_label(ctx.build.id)
        trusted = ctx.build.options.trust is Trust.TRUSTED
        async with ctx.services.db.write() as c:
            if not await builds.holds(c, ctx.lease):
                raise ctx.lost()
            # An earlier attempt at this build may have come this far.
            deployment = await deployments.of_build(c, ctx.build.id)
            if deployment is None:
                if await builds.cancel_requested(c, [ctx.build.id]):
                    raise Cancelled
                deployment = Deployment(
                    id=new_id("dpl"),
                    project_id=ctx.project.id,
                    build_id=ctx.build.id,
                    artifact=artifact.digest,
                    label=label,
                    created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                )
                await deployments.insert(c, deployment)
            if trusted:
                await deployments.activate(c, deployment, unless_newer=True)
        if not trusted:
            step.summary = ctx.services.public.site(label) or f"{deployment.id}; {ctx.project.slug} stays as it is"
            return deployment
        for tell in ctx.services.switched:
            tell(ctx.project.slug)
        step.summary = ctx.services.public.site(ctx.project.slug) or f"{ctx.project.slug} points at {deployment.id}"
        return deployment


def address(ctx: Context) -> str | None:
    """Where the build is reached once it is deployed."""
    trusted = ctx.build.options.trust is Trust.TRUSTED
    return ctx.services.public.site(ctx.project.slug if trusted else build_label(ctx.build.id))
