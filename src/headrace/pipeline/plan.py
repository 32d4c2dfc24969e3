"""Plan: a version becomes a build as data. Runs nothing."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

from headrace.layers.trees import pinned_tree
from headrace.model.event import BuildWarning, PlanMade
from headrace.model.plan import StepId
from headrace.model.project import Project
from headrace.model.version import Version
from headrace.pipeline.context import Context
from headrace.pipeline.services import Services
from headrace.pipeline.values import Planned
from headrace.plan.limits import PlanLimits
from headrace.plan.planner import make_plan
from headrace.plan.project_files import DirectoryFiles
from headrace.plan.refused import refuse_server
from headrace.settings import Settings
from headrace.tree import canonical, load_tree

#: Plans kept in memory, with their trees.
_REMEMBERED = 256


async def plan_build(ctx: Context, version: Version, pins: AsyncExitStack) -> Planned:
    """The planned tree stays written out until `pins` is closed."""
    async with ctx.step(StepId.PLAN) as step:
        planned = await _planned(ctx.services, of_app(ctx.project, ctx.build.options.app), version, pins)
        # The plan belongs to the files; equal ones may come from several commits.
        planned = replace(planned, commit=version.commit, branch=version.branch)
        plan = planned.plan
        stored = await ctx.services.store.put(canonical(plan))
        tools = tuple(f"{tool.name} {tool.version}" for tool in plan.tools)
        ctx.record(
            PlanMade(
                build_id=ctx.build.id,
                plan=stored,
                framework=plan.framework,
                package_manager=plan.package_manager,
                tools=tools,
                output=plan.output,
            )
        )
        for ignored in plan.ignored:
            ctx.record(
                BuildWarning(
                    build_id=ctx.build.id,
                    step=StepId.PLAN,
                    code="setting.ignored",
                    message=f"{ignored.source}: {ignored.setting} is ignored: {ignored.why}",
                )
            )
        if not ctx.build.options.dependencies_only:
            refuse_server(plan)
        step.summary = ", ".join([*((f"app {plan.app}",) if plan.app else ()), plan.framework, *tools])
        return planned


def of_app(project: Project, app: str | None) -> Project:
    """The project, with another one of its repository's apps when a build asks for one."""
    return project if app is None else project.but(settings=project.settings.but(app=app))


async def plan_version(services: Services, project: Project, version: Version) -> Planned:
    """The plan of a stored version. Raises StepFailed for a project that can't be planned."""
    async with AsyncExitStack() as pins:
        return await _planned(services, project, version, pins)


async def _planned(services: Services, project: Project, version: Version, pins: AsyncExitStack) -> Planned:
    layer = await pinned_tree(services.trees, services.store, version.tree, pins)
    limits = plan_limits(services.settings, project)
    asked = (version.tree, project.settings.model_dump_json(), limits.model_dump_json())
    if (planned := services.planned.get(asked)) is None:
        tree = await load_tree(services.store, version.tree)
        plan = await asyncio.to_thread(make_plan, DirectoryFiles(layer.path), project.settings, limits)
        planned = Planned(plan=plan, tree=tree, digest=version.tree, directory=layer.path)
        if len(services.planned) >= _REMEMBERED:
            services.planned.pop(next(iter(services.planned)))
        services.planned[asked] = planned
    return planned


def plan_limits(settings: Settings, project: Project) -> PlanLimits:
    """The project's own limits, none above the operator's maximum."""
    own = project.settings.limits

    def at_most(wish: float | None, maximum: float) -> float:
        return maximum if wish is None else min(wish, maximum)

    return PlanLimits(
        install_seconds=at_most(own.install_seconds, settings.install_seconds),
        build_seconds=at_most(own.build_seconds, settings.build_seconds),
        cpus=at_most(own.cpus, settings.cpus),
        memory_bytes=int(at_most(own.memory_bytes, settings.memory_bytes)),
        disk_bytes=int(at_most(own.disk_bytes, settings.disk_bytes)),
        disk_files=settings.disk_files,
        log_bytes=int(at_most(own.log_bytes, settings.log_bytes)),
    )
