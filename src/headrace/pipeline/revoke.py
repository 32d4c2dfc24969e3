"""
Revoking what a build made: its layers, layers that were begun with those, and the results of every build that used one.

Nothing is found under their keys any more, and the next build with the same inputs makes everything anew. What is served is not
taken down: which deployments show something that came of it is said, and people decide.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from headrace.errors import Conflict
from headrace.layers.layers import Layer
from headrace.model.build import Build
from headrace.model.deployment import Deployment
from headrace.model.digest import Digest
from headrace.model.value import Value
from headrace.pipeline.context import WRITE_WITHIN_SECONDS
from headrace.pipeline.request import cancel_build
from headrace.pipeline.services import Services
from headrace.records import builds, decisions, deployments, results

#: How long builds that were told to end are waited for.
_END_SECONDS = 30.0
#: Input of the key of a layer that stands on another one.
_STANDS_ON = "dependencies"


class RevokedLayer(Value):
    digest: Digest
    made_by: str
    begun_with: Digest | None = None


class RevokedResult(Value):
    project_id: str
    build_id: str
    artifact: Digest


class StillServed(Value):
    """A deployment of an artifact that came of it. `active`: it is what the project's own address shows."""

    deployment_id: str
    project_id: str
    build_id: str
    label: str
    active: bool


class Revoked(Value):
    """What was removed, which builds were ended for it, and what is still served."""

    build_id: str
    layers: tuple[RevokedLayer, ...] = ()
    results: tuple[RevokedResult, ...] = ()
    cancelled: tuple[str, ...] = ()
    deployments: tuple[StillServed, ...] = ()


@dataclass
class _Reach:
    """How far what a build made has come. It only grows."""

    #: Builds that made a layer of it.
    makers: set[str]
    #: Keys of its layers, there or not.
    keys: set[Digest] = field(default_factory=set)
    layers: dict[Digest, Layer] = field(default_factory=dict)
    #: Builds that used one of them.
    users: set[str] = field(default_factory=set)

    @property
    def builds(self) -> set[str]:
        return self.makers | self.users


async def revoke(services: Services, build: Build) -> Revoked:
    """Safe to repeat: what was begun while this ran is found by a second call."""
    reach = _Reach(makers={build.id})
    await _follow(services, reach)
    for digest in reach.layers:
        await asyncio.to_thread(services.layers.remove, digest)
    # Who got hold of one a moment ago has said so by then.
    await asyncio.sleep(10 * WRITE_WITHIN_SECONDS)
    await _follow(services, reach)
    cancelled = await _end_unfinished(services, reach.builds)
    async with services.db.write() as c:
        forgotten = await results.forget(c, reach.builds)
        reached = [found for id_ in reach.builds if (found := await builds.get(c, id_))]
    artifacts = {one.artifact for one in forgotten} | {one.artifact for one in reached if one.artifact}
    async with services.db.read() as c:
        served = await deployments.showing(c, artifacts)
        active = {live.id for one in served if (live := await deployments.active(c, one.project_id))}
    return Revoked(
        build_id=build.id,
        layers=tuple(
            RevokedLayer(digest=digest, made_by=layer.made_by, begun_with=layer.begun_with)
            for digest, layer in reach.layers.items()
        ),
        results=tuple(
            RevokedResult(project_id=one.project_id, build_id=one.build_id, artifact=one.artifact) for one in forgotten
        ),
        cancelled=tuple(sorted(cancelled)),
        deployments=tuple(_served(one, active) for one in served),
    )


async def _follow(services: Services, reach: _Reach) -> None:
    """Until nothing more is reached."""
    layers = await asyncio.to_thread(services.layers.all)
    size = -1
    while size != len(reach.makers) + len(reach.keys):
        size = len(reach.makers) + len(reach.keys)
        for layer in layers:
            if layer.made_by in reach.makers or layer.begun_with in reach.keys or _stands_on(layer, reach.keys):
                reach.layers[layer.key.digest] = layer
                reach.makers |= {layer.made_by} - {""}
        async with services.db.read() as c:
            reach.keys |= {*reach.layers, *await decisions.made_keys(c, reach.makers)}
            reach.makers |= await decisions.begun_with(c, reach.keys)
    async with services.db.read() as c:
        reach.users |= await decisions.given(c, reach.makers)


def _stands_on(layer: Layer, keys: Iterable[Digest]) -> bool:
    return any(part.name == _STANDS_ON and part.digest in keys for part in layer.key.inputs)


async def _end_unfinished(services: Services, ids: Iterable[str]) -> set[str]:
    """A build that has got hold of one of the layers must not save what comes of it."""
    told, waiting = set[str](), set[str]()
    for id_ in ids:
        async with services.db.read() as c:
            build = await builds.get(c, id_)
        if build is None or build.status.terminal:
            continue
        waiting.add(id_)
        with suppress(Conflict):  # it is about to end by itself, and remembers its result then
            await cancel_build(services, build, by="revoke")
            told.add(id_)
    deadline = asyncio.get_running_loop().time() + _END_SECONDS
    while waiting and asyncio.get_running_loop().time() < deadline:
        async with services.db.read() as c:
            rows = [await builds.get(c, id_) for id_ in waiting]
        waiting = {row.id for row in rows if row and not row.status.terminal}
        await asyncio.sleep(0.05)
    return told


def _served(one: Deployment, active: set[str]) -> StillServed:
    return StillServed(
        deployment_id=one.id,
        project_id=one.project_id,
        build_id=one.build_id,
        label=one.label,
        active=one.id in active,
    )
