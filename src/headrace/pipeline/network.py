"""The network ledger of a build: what its commands reached, and what none of the project's builds reached before."""

from collections.abc import Iterable

from headrace.model.event import EgressNewHost, EgressUsed
from headrace.model.plan import StepId
from headrace.model.sandbox import HostUse
from headrace.pipeline.context import Context
from headrace.records import builds


async def record_network(ctx: Context, step: StepId, network: Iterable[HostUse]) -> None:
    """Record what the connections of a step came to, and a warning for each host that is new."""
    uses = tuple(network)
    reached = [use for use in uses if use.connections and use.host]
    before, known = None, frozenset[tuple[str, int]]()
    if reached:
        async with ctx.services.db.read() as c:
            before, known = await builds.last_reached(c, ctx.build, step)
    for use in uses:
        new = before is not None and use in reached and (use.host, use.port) not in known
        ctx.record(_used(ctx, step, use, new=new))
        if new and before is not None:
            ctx.record(
                EgressNewHost(
                    build_id=ctx.build.id, step=step, host=use.host, port=use.port, package=use.package, before=before
                )
            )


def _used(ctx: Context, step: StepId, use: HostUse, *, new: bool) -> EgressUsed:
    return EgressUsed(build_id=ctx.build.id, step=step, new=new, **use.model_dump())
