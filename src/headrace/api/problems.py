"""Errors as RFC 9457 problems: every answer that is not a success has this one shape, and a code that never changes."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from headrace.disk import storage_errors
from headrace.errors import (
    BadRequest,
    HeadraceError,
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    StepFailed,
    TooManyRequests,
    Unavailable,
    is_short,
)
from headrace.model.change import FileConflict
from headrace.model.digest import Digest

MEDIA_TYPE = "application/problem+json"

#: Codes of parameters that a page or a stream is asked for with.
_PAGE_PARAMETERS = {"limit", "cursor", "after", "after_id"}


class ProblemDetail(BaseModel):
    """One part of a request that is wrong."""

    pointer: str = Field(description="JSON pointer into the body, or `?name` of a query parameter.")
    code: str
    message: str


class Problem(BaseModel):
    """Why a request was not done, and what to do about it."""

    model_config = ConfigDict(json_schema_extra={"description": "RFC 9457 problem with a stable `code`."})

    type: str = Field(description="A URN of the code.")
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable, made for programs.")
    hint: str | None = Field(default=None, description="What to do about it.")
    errors: list[ProblemDetail] = []
    request_id: str = Field(description="Quote it when you ask for help; the server's log has it too.")


class SyncProblem(Problem):
    """Why a sync was not done. Nothing of it was."""

    version: str | None = Field(default=None, description="The newest version, when the change is in conflict with it.")
    conflicts: list[FileConflict] = []
    index: int | None = Field(default=None, description="Number of the first wrong entry, from 0.")
    missing: list[Digest] = Field(default=[], description="Digests whose content has to be sent.")


class InvalidRequest(InvalidInput):
    """Several parts of a request are wrong; the error's own code is that of the first."""

    def __init__(self, details: Sequence[ProblemDetail]) -> None:
        first = details[0]
        super().__init__(f"{first.pointer}: {first.message}", code=first.code, field=first.pointer)
        self.details = details


def request_id(scope: Scope) -> str:
    """The id that `RequestLog` gave the request."""
    return str(scope.get("headrace.request_id", ""))


def problem(scope: Scope, error: HeadraceError, headers: Mapping[str, str] | None = None) -> Response:
    details = list(getattr(error, "details", ()))
    if not details and error.field:
        details = [ProblemDetail(pointer=error.field, code=error.exact_code, message=error.message)]
    body = Problem(
        type=f"urn:headrace:error:{error.exact_code}",
        title=HTTPStatus(error.http_status).phrase,
        status=error.http_status,
        detail=error.message,
        code=error.exact_code,
        hint=error.hint,
        errors=details,
        request_id=request_id(scope),
    )
    return Response(
        orjson.dumps({**body.model_dump(mode="json"), **getattr(error, "more", {})}),
        error.http_status,
        headers={**_headers_of(error), **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def _headers_of(error: HeadraceError) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if error.http_status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retryable:
        headers["Retry-After"] = "60" if isinstance(error, TooManyRequests) else "5"
    return headers


async def on_headrace_error(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HeadraceError):
        raise exc
    return problem(request.scope, exc)


async def on_machine_error(request: Request, exc: Exception) -> Response:
    """
    A disk that is full or broken, a machine that is short of descriptors or threads: not the client's fault, and it may pass.
    """
    if is_short(exc):
        said = getattr(exc, "strerror", None) or str(exc)
        error = Unavailable(f"the server is short of something: {said}", code="server.short", hint="try again")
        return problem(request.scope, error)
    try:
        with storage_errors():
            raise exc
    except HeadraceError as known:
        return problem(request.scope, known)


async def on_step_failed(request: Request, exc: Exception) -> Response:
    """What a project brought can't be used: a result inside a build, the caller's input in a request."""
    if not isinstance(exc, StepFailed):
        raise exc
    failure = exc.failure
    return problem(request.scope, InvalidInput(failure.message, hint=failure.hint, code=failure.reason.value))


async def on_http_error(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        raise exc
    if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        error = MethodNotAllowed(f"{request.method[:20]} is not possible here")
        return problem(request.scope, error, {"Allow": _allowed(request)})
    if exc.status_code == HTTPStatus.NOT_FOUND:
        return problem(request.scope, NotFound("there is nothing at this path", hint="see /openapi.json"))
    return problem(request.scope, BadRequest("the request can't be read"))


async def on_invalid_request(request: Request, exc: Exception) -> Response:
    """Query parameters and headers that FastAPI refused."""
    if not isinstance(exc, RequestValidationError):
        raise exc
    return problem(request.scope, InvalidRequest([_parameter(error) for error in exc.errors()]))


def _parameter(error: Mapping[str, object]) -> ProblemDetail:
    loc = error.get("loc")
    name = str(loc[-1]) if isinstance(loc, tuple | list) and loc else ""
    if isinstance(loc, tuple | list) and loc and loc[0] == "header":
        code = "idempotency.key_invalid" if name.lower() == "idempotency-key" else "header.invalid"
        return ProblemDetail(pointer=name, code=code, message=str(error.get("msg")))
    code = "page.invalid" if name in _PAGE_PARAMETERS else "query.invalid"
    return ProblemDetail(pointer=f"?{name}", code=code, message=str(error.get("msg")))


def _allowed(request: Request) -> str:
    """All methods of this path. The router itself only names those of the first of its routes."""
    paths = request.app.openapi()["paths"]
    fitting = [template for template in paths if _fits(template, request.url.path)]
    exact = min(fitting, key=lambda template: template.count("{"), default=None)
    return ", ".join(sorted(method.upper() for method in paths[exact])) if exact else ""


def _fits(template: str, path: str) -> bool:
    parts, given = template.split("/"), path.split("/")
    pairs = zip(parts, given, strict=False)
    return len(parts) == len(given) and all(part.startswith("{") or part == one for part, one in pairs)
