"""The API as an ASGI app: routes, what every request passes through, and how errors answer."""

from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from headrace import __version__
from headrace.api import openapi, problems
from headrace.api.auth import FAILURES_ALLOWED, BearerToken, Failures
from headrace.api.endings import Endings
from headrace.api.host_check import HostCheck
from headrace.api.metrics import Metrics
from headrace.api.request_log import RequestLog
from headrace.api.routes import builds, cache, events, health, projects, versions
from headrace.api.streams import Streams
from headrace.errors import HeadraceError, InvalidInput, StepFailed
from headrace.pipeline.services import Services
from headrace.settings import api_token


def create_app(services: Services, *, failures_allowed: int = FAILURES_ALLOWED) -> FastAPI:
    """
    Hears the journal from now on, and has `services.stopping` end its open event streams. `failures_allowed` requests a
    minute may come from an address without a valid token.
    """
    metrics, streams = Metrics(), Streams(services.events)
    services.journal.listen(metrics.heard)
    services.stopping.append(streams.close)
    app = _with_routes()
    app.state.services = services
    app.state.metrics = metrics
    app.state.streams = streams
    app.state.endings = Endings(services)
    # The last one added is the first to see a request.
    app.add_middleware(BearerToken, token=api_token(services.settings), failures=Failures(failures_allowed))
    app.add_middleware(HostCheck, names=_host_names(services))
    app.add_middleware(RequestLog, metrics=metrics)
    return app


def openapi_document() -> dict[str, Any]:
    """What `GET /openapi.json` answers, without a server."""
    return _with_routes().openapi()


def _with_routes() -> FastAPI:
    app = FastAPI(
        title="Headrace",
        version=__version__,
        docs_url=None,  # the page would load its scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        dependencies=[Depends(_check_address)],
        responses=openapi.PROBLEMS,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.include_router(health.router)
    app.include_router(_api_v1())
    _answer_errors(app)
    app.openapi = lambda: openapi.describe(app)  # type: ignore[method-assign]
    return app


def _api_v1() -> APIRouter:
    router = APIRouter(prefix="/api/v1")
    for resource in (projects, versions, builds, events, cache):
        router.include_router(resource.router)
    return router


def _answer_errors(app: FastAPI) -> None:
    app.add_exception_handler(HeadraceError, problems.on_headrace_error)
    app.add_exception_handler(StepFailed, problems.on_step_failed)
    app.add_exception_handler(HTTPException, problems.on_http_error)
    app.add_exception_handler(RequestValidationError, problems.on_invalid_request)


def _host_names(services: Services) -> set[str]:
    settings = services.settings
    return {"localhost", settings.host, settings.sites_domain, *settings.hosts}


async def _check_address(request: Request) -> None:
    given = request.query_params.multi_items()
    if "\0" in request.url.path or any("\0" in part for pair in given for part in pair):
        raise InvalidInput("the address contains a NUL character", code="string.nul")
    known = openapi.query_parameters(request.app, request.scope["route"].name)
    names = [name for name, _ in given]
    for name in names:
        # A misspelt parameter must not become a default, nor a doubled one a choice of ours.
        if name not in known or names.count(name) > 1:
            said = "is given twice" if name in known else "is not a parameter of this request"
            raise InvalidInput(f"{name[:80]!r} {said}", code="query.unknown", field=f"?{name[:80]}")
