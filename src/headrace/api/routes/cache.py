"""The layer cache: what it holds, and taking things out of it."""

import asyncio
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from headrace.api.answers import answer, resource
from headrace.api.body import canonical, json_body, json_request
from headrace.api.context import Wired, find_build
from headrace.api.once import IdempotencyKey, once
from headrace.api.requests import PruneRequest, RevokeRequest
from headrace.api.router import router_of
from headrace.api.views import CacheView, LayerView, PruneResult
from headrace.collect import prune
from headrace.errors import NotFound
from headrace.layers.layers import Layer
from headrace.model.digest import is_digest
from headrace.pipeline.cache_check import CacheCheck, check_caches
from headrace.pipeline.revoke import Revoked, revoke
from headrace.pipeline.services import Services
from headrace.pipeline.shared_packages import packages_of

router = router_of("cache")


@router.get("/cache", response_model=CacheView)
async def list_cache(request: Request, services: Wired) -> Response:
    """Layers of installed dependencies and of tool chains, and packages that installs share, the most recently used first."""
    layers = await asyncio.to_thread(_all, services)
    layers.sort(key=lambda layer: layer.used_at, reverse=True)
    taken = sum(layer.bytes for layer in layers)
    return resource(request, CacheView(items=layers, bytes=taken, budget_bytes=services.settings.cache_bytes))


@router.post("/cache/prune", response_model=PruneResult, openapi_extra=json_request(PruneRequest, optional=True))
async def prune_cache(
    request: Request,
    services: Wired,
    body: Annotated[PruneRequest, Depends(json_body(PruneRequest, optional=True))],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Remove the least recently used layers and packages until the rest fits the budget. What a build uses now stays."""

    async def act() -> Response:
        removed = await prune(services, body.bytes)
        return answer(PruneResult(removed=list(removed.layers), packages=removed.packages, freed_bytes=removed.bytes))

    return await once(services, request, idempotency_key, canonical(body.model_dump(mode="json")), act)


@router.post("/cache/verify", response_model=CacheCheck)
async def verify_cache(request: Request, services: Wired, idempotency_key: IdempotencyKey = None) -> Response:
    """
    Read every layer, tool chain and blob and compare it with what it is named by; what is damaged is dropped. Takes as long
    as reading all of it takes.
    """

    async def act() -> Response:
        return answer(await check_caches(services))

    return await once(services, request, idempotency_key, b"", act)


@router.post("/cache/revoke", response_model=Revoked, openapi_extra=json_request(RevokeRequest))
async def revoke_build(
    request: Request,
    services: Wired,
    body: Annotated[RevokeRequest, Depends(json_body(RevokeRequest))],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """
    Take out what a build made: its layers, what was begun with those, and the results of builds that used one. Builds that do so
    right now are cancelled. Deployments that show something that came of it are listed, and stay.
    """
    build = await find_build(services, body.build)

    async def act() -> Response:
        return answer(await revoke(services, build))

    return await once(services, request, idempotency_key, canonical(body.model_dump(mode="json")), act)


@router.delete("/cache/{digest}", status_code=204)
async def remove_layer(services: Wired, digest: str) -> Response:
    """Take a layer out. Builds that use it now keep it until their end."""
    kinds = (services.layers, services.tools, packages_of(services))
    removed = is_digest(digest) and any([await asyncio.to_thread(kind.remove, digest) for kind in kinds])
    if not removed:
        raise NotFound(f"there is no layer {digest[:80]}", hint="GET /api/v1/cache lists them")
    return Response(status_code=204)


def _all(services: Services) -> list[LayerView]:
    kinds = (("dependencies", services.layers), ("tool", services.tools))
    layers = [_view(kind, layer) for kind, layers in kinds for layer in layers.all()]
    return [*layers, *(LayerView(kind="packages", **pool._asdict()) for pool in packages_of(services).pools())]


def _view(kind: str, layer: Layer) -> LayerView:
    plain = {name: getattr(layer, name) for name in LayerView.model_fields if name not in ("kind", "digest")}
    return LayerView(kind=kind, digest=layer.key.digest, **plain)
