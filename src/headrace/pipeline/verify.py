"""Verify: the output is looked at before it becomes an artifact."""

import asyncio

from headrace.checks.base import Output
from headrace.checks.output_reader import DescriptorReader, list_output
from headrace.checks.verify import verify
from headrace.model.event import BuildWarning
from headrace.model.plan import StepId
from headrace.model.trust import Trust
from headrace.pipeline.context import Context
from headrace.pipeline.secrets import reveal, secret_like
from headrace.pipeline.values import Built, Planned


async def verify_output(ctx: Context, planned: Planned, built: Built) -> Output:
    """The output's files. Raises StepFailed when a check refuses them."""
    async with ctx.step(StepId.VERIFY) as step:
        settings = ctx.services.settings
        output = await asyncio.to_thread(
            list_output,
            built.tree_fd,
            built.directory,
            max_bytes=settings.output_bytes,
            max_files=settings.output_files,
        )
        reader = DescriptorReader(built.tree_fd, built.directory)
        for warning in await asyncio.to_thread(verify, planned.plan, output, reader, await _secrets(ctx, planned)):
            ctx.record(BuildWarning(build_id=ctx.build.id, step=StepId.VERIFY, code="output.warning", message=warning))
        step.summary = f"Build produced {len(output.files)} files, {output.bytes / 1024:.0f} KiB"
        return output


async def _secrets(ctx: Context, planned: Planned) -> dict[str, str]:
    """What must not be published, by the names of its variables."""
    plan = planned.plan
    names = {
        name for command in (plan.build, plan.install and plan.install.command) if command for name in command.secrets
    }
    if ctx.build.options.trust is not Trust.TRUSTED:
        names = set()
    return {**secret_like(ctx.project.settings.env), **await reveal(ctx.services, ctx.project, names, StepId.VERIFY)}
