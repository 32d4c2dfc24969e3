"""The API as an ASGI app: routes, what every request passes through, and how errors answer."""

from functools import cache as cache_forever
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from headrace import __version__
from headrace.api import openapi, problems
from headrace.api.auth import FAILURES_ALLOWED, BearerToken, Failures, is_bearer_of
from headrace.api.endings import Endings
from headrace.api.host_check import HostCheck
from headrace.api.last_word import LastWord
from headrace.api.metrics import Metrics
from headrace.api.request_log import RequestLog
from headrace.api.router import add_routes
from headrace.api.routes import (
    builds,
    cache,
    changes,
    events,
    health,
    preview_page,
    preview_path,
    previews,
    projects,
    secrets,
    sync,
    versions,
)
from headrace.api.streams import Streams
from headrace.errors import HeadraceError, StepFailed
from headrace.pipeline.services import Services
from headrace.preview.sessions import Previews
from headrace.settings import api_token
from headrace.sync.recent import RecentTrees


def create_app(services: Services, previews: Previews, *, failures_allowed: int = FAILURES_ALLOWED) -> FastAPI:
    """
    Hears the journal from now on, and has `services.stopping` end its open event streams. `failures_allowed` requests a
    minute may come from an address without a valid token.
    """
    metrics, streams, token = Metrics(), Streams(services.events), api_token(services.settings)
    services.journal.listen(metrics.heard)
    services.stopping.append(streams.close)
    app = _with_routes()
    app.state.services = services
    app.state.metrics = metrics
    app.state.streams = streams
    app.state.previews = previews
    app.state.is_member = partial(is_bearer_of, token.encode())
    app.state.endings = Endings(services)
    app.state.recent = RecentTrees(services.store)
    # The last one added is the first to see a request.
    app.add_middleware(BearerToken, token=token, failures=Failures(failures_allowed))
    app.add_middleware(HostCheck, names=_host_names(services))
    app.add_middleware(RequestLog, metrics=metrics)
    app.add_middleware(LastWord)
    return app


def _with_routes() -> FastAPI:
    app = FastAPI(
        title="Headrace",
        version=__version__,
        docs_url=None,  # the page would load its scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    add_routes(
        app,
        *(
            module.router
            for module in (health, projects, secrets, versions, changes, sync, builds, events, previews, cache)
        ),
    )
    add_routes(app, preview_path.router, preview_page.router)
    _answer_errors(app)
    app.openapi = openapi_document  # type: ignore[method-assign]
    return app


@cache_forever
def openapi_document() -> dict[str, Any]:
    """What `GET /openapi.json` answers, without a server. Made once: it is the same for every app."""
    return openapi.describe(_with_routes())


def _answer_errors(app: FastAPI) -> None:
    app.add_exception_handler(HeadraceError, problems.on_headrace_error)
    for kind in (OSError, RuntimeError):
        app.add_exception_handler(kind, problems.on_machine_error)
    app.add_exception_handler(StepFailed, problems.on_step_failed)
    app.add_exception_handler(HTTPException, problems.on_http_error)
    app.add_exception_handler(RequestValidationError, problems.on_invalid_request)


def _host_names(services: Services) -> set[str]:
    settings = services.settings
    return {"localhost", settings.host, settings.sites_domain, *settings.hosts}
