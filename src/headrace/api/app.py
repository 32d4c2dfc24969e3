"""The API as an ASGI app: routes, what every request passes through, and how errors answer."""

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from headrace import __version__
from headrace.api import openapi, problems
from headrace.api.auth import BearerToken
from headrace.api.endings import Endings
from headrace.api.host_check import HostCheck
from headrace.api.metrics import Metrics
from headrace.api.request_log import RequestLog
from headrace.api.routes import builds, cache, events, health, projects, versions
from headrace.api.streams import Streams
from headrace.errors import HeadraceError, InvalidInput, StepFailed
from headrace.pipeline.services import Services
from headrace.settings import api_token


def create_app(services: Services) -> FastAPI:
    """Hears the journal from now on, and has `services.stopping` end its open event streams."""
    metrics, streams = Metrics(), Streams(services.events)
    services.journal.listen(metrics.heard)
    services.stopping.append(streams.close)

    app = FastAPI(
        title="Headrace",
        version=__version__,
        docs_url=None,  # the page would load its scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        dependencies=[Depends(_refuse_nul)],
        responses=openapi.PROBLEMS,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    app.state.metrics = metrics
    app.state.streams = streams
    app.state.endings = Endings(services)
    app.include_router(health.router)
    app.include_router(_api_v1())
    _answer_errors(app)
    app.openapi = lambda: openapi.describe(app)  # type: ignore[method-assign]
    # The last one added is the first to see a request.
    app.add_middleware(BearerToken, token=api_token(services.settings))
    app.add_middleware(HostCheck, names=_host_names(services))
    app.add_middleware(RequestLog, metrics=metrics)
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


async def _refuse_nul(request: Request) -> None:
    if "\0" in request.url.path or any("\0" in part for pair in request.query_params.multi_items() for part in pair):
        raise InvalidInput("the address contains a NUL character", code="string.nul")
