"""Verify: the output is looked at before it becomes an artifact."""

import asyncio

from headrace.checks.base import Output
from headrace.checks.output_reader import DescriptorReader, list_output
from headrace.checks.verify import verify
from headrace.model.event import BuildWarning
from headrace.model.plan import StepId
from headrace.pipeline.context import Context
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
        for warning in await asyncio.to_thread(verify, planned.plan, output, reader, _secrets(ctx)):
            ctx.record(BuildWarning(build_id=ctx.build.id, step=StepId.VERIFY, code="output.warning", message=warning))
        step.summary = f"Build produced {len(output.files)} files, {output.bytes / 1024:.0f} KiB"
        return output


def _secrets(ctx: Context) -> dict[str, str]:
    """The project's variables that must not be published, by their names: frameworks' public prefixes say what may be."""
    return {
        name: value
        for name, value in ctx.project.settings.env.items()
        if any(word in name.upper() for word in _SECRET_WORDS) and not name.startswith(_PUBLIC_PREFIXES)
    }


_SECRET_WORDS = ("SECRET", "TOKEN", "PASSWORD", "PASSWD", "PRIVATE", "CREDENTIAL", "API_KEY", "ACCESS_KEY")
_PUBLIC_PREFIXES = ("VITE_", "PUBLIC_", "NEXT_PUBLIC_", "NUXT_PUBLIC_", "REACT_APP_", "GATSBY_", "EXPO_PUBLIC_")
