"""A request from outside: its id, its line in the log, and the answer when something of ours breaks."""

import re
from time import perf_counter

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.api.metrics import Metrics
from headrace.api.problems import problem
from headrace.errors import HeadraceError
from headrace.model.ids import new_id

_log = structlog.get_logger("headrace.api")

#: What a client may choose as its request's id.
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


class RequestLog:
    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        scope["headrace.request_id"] = given if _GIVEN_ID.fullmatch(given) else new_id("req")
        began, status = perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = scope["headrace.request_id"]
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception:
            _log.exception("request broke", request_id=scope["headrace.request_id"])
            if status:
                raise  # Half an answer is out: only a closed connection can say that it is not whole.
            error = HeadraceError("Headrace itself failed", hint="report it with the request id and the server's log")
            await problem(scope, error)(scope, receive, answer)
        finally:
            self._write(scope, status, perf_counter() - began)

    def _write(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self._metrics.request(scope["method"], route, status, seconds)
        # Without the query: people put secrets there.
        _log.info(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round(seconds * 1000, 1),
            request_id=scope["headrace.request_id"],
            client=(scope.get("client") or ("",))[0],
        )
