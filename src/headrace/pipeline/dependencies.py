"""Dependencies: installed once into a layer, then mounted. A hit costs a mount, whatever the number of files."""

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from headrace.disk import replace_file
from headrace.errors import NotFound
from headrace.executor.base import Sandbox
from headrace.layers.layers import Layer, Layers
from headrace.layers.merged import complete, visible
from headrace.layers.trees import pinned_tree
from headrace.model.digest import digest_of
from headrace.model.event import CacheDecision
from headrace.model.plan import CacheKey, Install, KeyInput, StepId
from headrace.model.trust import Trust
from headrace.model.version import Tree
from headrace.pipeline.command import run_command, sandbox_spec, step_tools
from headrace.pipeline.context import Context, Step
from headrace.pipeline.near_miss import near_layer
from headrace.pipeline.offline import missing
from headrace.pipeline.shared_packages import SharedPackages
from headrace.pipeline.trust import readable, scope
from headrace.pipeline.values import Planned
from headrace.plan.explain import explain, short_key
from headrace.plan.layer_key import first_difference, layer_key
from headrace.plan.near_install import near_command
from headrace.records import results
from headrace.tree import store_entries


async def dependency_layer(ctx: Context, planned: Planned, pins: AsyncExitStack) -> Layer | None:
    """The layer with the project's dependencies, pinned as long as `pins` is open; None if it has none."""
    async with ctx.step(StepId.DEPENDENCIES) as step:
        plan = planned.plan
        if plan.install is None:
            step.skipped, step.summary = True, "nothing to install"
            return None
        options = ctx.build.options
        keys = [_key(ctx, planned, trust) for trust in readable(options.trust)]
        # A build's own tier is the last that it may read.
        key, layers, layer = keys[-1], ctx.services.layers, None
        if options.no_cache:
            key = _private(ctx, key)
            layer = _pinned(layers, key, pins)
            if layer is None:
                await _install(ctx, planned, plan.install, key, step, None, pins)
            pins.callback(layers.remove, key.digest)
        else:
            # Builds that need the same layer at the same time install it once: the others find it when it is their turn.
            async with layers.turn(key.digest):
                layer = next((found for known in keys if (found := _pinned(layers, known, pins))), None)
                key = layer.key if layer else key
                near = None
                may_begin = ctx.executor.isolated and not options.offline and near_command(plan) is not None
                if layer is None and may_begin:
                    near = await near_layer(ctx, keys, pins)
                await _decide(ctx, keys, key, layer, near)
                if layer is None:
                    await _install(ctx, planned, plan.install, key, step, near, pins)
                else:
                    step.cached, step.summary = True, f"{layer.files} files restored by mount"
        return layer or pins.enter_context(layers.pin(key.digest))


def _pinned(layers: Layers, key: CacheKey, pins: AsyncExitStack) -> Layer | None:
    """The layer, which stays until `pins` is closed; None when it isn't there."""
    try:
        return pins.enter_context(layers.pin(key.digest))
    except NotFound:
        return None


def _private(ctx: Context, key: CacheKey) -> CacheKey:
    """A key that no other build will ask for."""
    own = KeyInput(name="build", digest=digest_of(ctx.build.id.encode()))
    return CacheKey(digest=digest_of(f"{key.digest} {ctx.build.id}".encode()), inputs=(*key.inputs, own))


def _key(ctx: Context, planned: Planned, trust: Trust) -> CacheKey:
    """The key of the layer among those of this tier."""
    where = scope(ctx.project, trust)
    return layer_key(planned.plan, planned.tree, scope=where, base_system=ctx.executor.base_system)


async def _decide(
    ctx: Context, keys: Sequence[CacheKey], key: CacheKey, layer: Layer | None, near: Layer | None
) -> None:
    """`keys` are those that were asked for, the trusted one first; `key` is that of the layer, found or to be made."""
    async with ctx.services.db.read() as c:
        before = await results.last_inputs(c, ctx.project.id, "dependencies")
    differs = None if layer else first_difference(keys[0], before)
    saved, made_by = (layer.seconds, layer.made_by) if layer else (None, None)
    trust = Trust.TRUSTED if key == keys[0] else Trust.UNTRUSTED
    ctx.record(
        CacheDecision(
            build_id=ctx.build.id,
            step=StepId.DEPENDENCIES,
            cache="dependencies",
            key=key,
            hit=layer is not None,
            differs=differs,
            explanation=explain(
                "dependencies",
                key,
                hit=layer is not None,
                differs=differs,
                seconds_saved=saved,
                made_by=made_by,
                begun_with=near.made_by if near else None,
                trust=trust,
            ),
            begun_with=near.key.digest if near else None,
            seconds_saved=saved,
            made_by=made_by,
            trust=trust,
        )
    )


async def _install(
    ctx: Context,
    planned: Planned,
    install: Install,
    key: CacheKey,
    step: Step,
    near: Layer | None,
    pins: AsyncExitStack,
) -> None:
    """`near` is a layer to begin with."""
    if ctx.build.options.offline:
        raise missing(StepId.DEPENDENCIES, f"the layer {short_key(key)} with the dependencies of this lock file")
    plan = planned.plan
    inputs = await _inputs_only(ctx, planned.tree, install, pins)
    command = (near_command(plan) if near else None) or install.command
    shared = await SharedPackages.of(ctx, install, planned.tree)
    layers = (*((near.path,) if near else ()), inputs, *await shared.layer())
    tools = await step_tools(ctx, StepId.DEPENDENCIES, plan.tools, pins)
    spec = sandbox_spec(ctx, StepId.DEPENDENCIES, command, layers, tools)
    sandbox = await ctx.open_sandbox(spec)
    told = shared.told(command)
    result = await run_command(
        ctx, sandbox, StepId.DEPENDENCIES, told, planned, stands_for=install.command, registry=shared.registry
    )
    async with ctx.moving():
        made = ctx.scratch / "layer"
        if near is None:
            await asyncio.to_thread(_collect, sandbox.take, install.outputs, made)
        else:
            await asyncio.to_thread(_collect_over, sandbox, near.path, install.outputs, made)
        await shared.keep(sandbox)
        layer = await asyncio.to_thread(
            ctx.services.layers.commit,
            key,
            made,
            made_by=ctx.build.id,
            seconds=result.seconds,
            scope=scope(ctx.project, ctx.build.options.trust),
            begun_with=near.key.digest if near else None,
        )
    begun = f", begun with those of {near.made_by}" if near else ""
    step.summary = f"{layer.files} files, {layer.bytes / 2**20:.0f} MiB installed{begun}{shared.words}"


async def _inputs_only(ctx: Context, tree: Tree, install: Install, pins: AsyncExitStack) -> Path:
    """A tree with nothing but the install's inputs: what isn't there can't change the layer behind its key's back."""
    wanted = set(install.inputs)
    part = Tree(files=tuple(file for file in tree.files if file.path in wanted))
    digest = await store_entries(ctx.services.store, part)
    return (await pinned_tree(ctx.services.trees, ctx.services.store, digest, pins)).path


def _collect(take: Callable[[str, Path], bool], outputs: tuple[str, ...], made: Path) -> None:
    made.mkdir(parents=True, exist_ok=True)
    for output in outputs:
        # An earlier attempt at this build may have died between this rename and the layer's.
        if not (made / output).exists():
            (made / output).parent.mkdir(parents=True, exist_ok=True)
            take(output, made / output)


def _collect_over(sandbox: Sandbox, base: Path, outputs: tuple[str, ...], made: Path) -> None:
    seen_at_end = made.with_name("layer.seen")
    if seen_at_end.exists():
        seen = frozenset(json.loads(seen_at_end.read_bytes()))
    else:
        tree = sandbox.open_tree()
        try:
            seen = visible(tree, outputs)
        finally:
            os.close(tree)
        # Moving parts away changes what can be seen: an attempt that takes over must not look again.
        replace_file(seen_at_end, json.dumps(sorted(seen)).encode(), durable=False)
    _collect(sandbox.take, outputs, made)
    complete(made, base, seen, outputs)
