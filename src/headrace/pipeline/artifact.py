"""Artifact: the verified output goes into the store. Equal outputs make equal artifacts."""

from headrace.checks.base import Output
from headrace.model.artifact import Artifact
from headrace.model.event import BuildWarning
from headrace.model.plan import StepId
from headrace.pipeline.context import Context
from headrace.pipeline.known_codings import KnownCodings
from headrace.pipeline.manifest import make_artifact
from headrace.pipeline.values import Built, Planned
from headrace.records import artifacts

__all__ = ["make_artifact", "publish_artifact"]


async def publish_artifact(ctx: Context, planned: Planned, built: Built, output: Output) -> Artifact:
    """The stored artifact of a verified output."""
    async with ctx.step(StepId.ARTIFACT) as step:
        services, warnings = ctx.services, list[str]()
        known = None if ctx.build.options.no_cache else KnownCodings(services.settings.data_dir / "codings")
        artifact, manifest = await make_artifact(
            services.store, built.tree_fd, output, planned.plan, known=known, warn=warnings.append
        )
        async with services.db.write(durable=False) as c:
            await artifacts.insert(c, artifact)
        for message in warnings:
            ctx.record(
                BuildWarning(build_id=ctx.build.id, step=StepId.ARTIFACT, code="artifact.warning", message=message)
            )
        packed = sum(1 for file in manifest.files if file.encodings)
        step.summary = f"{artifact.files} files stored, {packed} of them also compressed"
        return artifact
