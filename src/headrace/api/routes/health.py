"""For those who watch over the server: alive, ready, its numbers, its version. No token is needed."""

import asyncio
import os
from typing import Literal

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import Response

from headrace import __version__
from headrace.api.answers import json_bytes
from headrace.api.context import Wired
from headrace.api.metrics import Metrics
from headrace.api.router import router_of
from headrace.errors import HeadraceError
from headrace.pipeline.services import Services
from headrace.records import builds
from headrace.records.tables import SCHEMA

router = router_of("health", prefix="")


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    status: Literal["ok", "not ready"]
    #: Part -> "ok" or what is wrong with it.
    parts: dict[str, str]


class VersionInfo(BaseModel):
    name: str = "headrace"
    version: str
    api: str = "v1"
    #: Of the database.
    schema_version: str


@router.get("/healthz", response_model=Alive)
async def healthz() -> Response:
    """The process answers."""
    return _json(Alive())


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
async def readyz(services: Wired) -> Response:
    """The database can be read, the data directory can be written, and the executor is known."""
    parts = {
        "database": await _database(services),
        "storage": await asyncio.to_thread(_storage, services),
        "executor": _executor(services),
    }
    ready = all(state == "ok" for state in parts.values())
    return _json(Readiness(status="ok" if ready else "not ready", parts=parts), 200 if ready else 503)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request, services: Wired) -> Response:
    """Prometheus metrics."""
    counted: Metrics = request.app.state.metrics
    async with services.db.read() as c:
        unfinished = await builds.counts(c)
    return Response(counted.text(unfinished), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/version", response_model=VersionInfo)
async def version() -> Response:
    return _json(VersionInfo(version=__version__, schema_version=SCHEMA))


def _json(value: BaseModel, status: int = 200) -> Response:
    return Response(json_bytes(value), status, {"Cache-Control": "no-store"}, "application/json")


async def _database(services: Services) -> str:
    try:
        await services.db.check()
    except HeadraceError as exc:
        return exc.exact_code
    return "ok"


def _storage(services: Services) -> str:
    probe = services.settings.data_dir / f".ready-{os.getpid()}"
    try:
        with probe.open("wb") as file:
            file.write(b"ready")
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        return f"not writable: {exc.strerror}"
    finally:
        probe.unlink(missing_ok=True)
    return "ok"


def _executor(services: Services) -> str:
    try:
        services.executor(services.settings.executor)
    except HeadraceError as exc:
        return exc.exact_code
    return "ok"
