"""Build: the project's own command, in a sandbox, over its sources and its dependency layer."""

import asyncio
import os
from contextlib import AsyncExitStack

from headrace.checks.output_finder import find_output
from headrace.layers.layers import Layer
from headrace.model.plan import StepId
from headrace.pipeline.command import run_command, sandbox_spec, step_tools
from headrace.pipeline.context import Context
from headrace.pipeline.values import Built, Planned


async def run_build_command(ctx: Context, planned: Planned, layer: Layer | None, held: AsyncExitStack) -> Built:
    """What the build wrote. `held` keeps the working directory readable until it is closed."""
    async with ctx.step(StepId.BUILD) as step:
        plan = planned.plan
        if plan.build is None:
            step.skipped, step.summary = True, "no build command: the files are served as they are"
            return await _opened(planned, held, os.open(planned.directory, os.O_RDONLY | os.O_DIRECTORY))
        layers = (layer.path, planned.directory) if layer else (planned.directory,)
        mounts = await step_tools(ctx, StepId.BUILD, plan.tools, held)
        sandbox = await ctx.open_sandbox(sandbox_spec(ctx, StepId.BUILD, plan.build, layers, mounts))
        result = await run_command(ctx, sandbox, StepId.BUILD, plan.build, planned)
        built = await _opened(planned, held, sandbox.open_tree())
        step.summary = f"built in {result.seconds:.2f} s"
        return built


async def _opened(planned: Planned, held: AsyncExitStack, tree_fd: int) -> Built:
    held.callback(os.close, tree_fd)
    before = frozenset(file.path for file in planned.tree.files)
    directory = await asyncio.to_thread(find_output, tree_fd, planned.plan, before)
    return Built(tree_fd=tree_fd, directory=directory)
