"""Who may ask: the bearer of the API token, for everything but health and the document of the API."""

import hmac
from collections import deque
from collections.abc import Callable
from time import monotonic

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from headrace.api.problems import problem
from headrace.api.viewers import may_view
from headrace.errors import BadRequest, HeadraceError, NotAuthenticated, TooManyRequests

#: Answered without a token. None of them says anything about a project.
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/version", "/openapi.json"})

#: Previews have their own protection, which may be none.
GUARDED_ELSEWHERE = "/preview/"

#: Pages for people, who have links and cookies instead; the route itself looks at them.
VIEW_PATHS = "/view/"

#: Names under which clients put credentials into addresses, where every log and proxy keeps them.
_FORBIDDEN_PARAMETERS = frozenset({"token", "access_token", "api_key", "apikey", "key", "authorization"})

WINDOW_SECONDS = 60.0
FAILURES_ALLOWED = 30
#: Addresses that are remembered. More of them at once push the oldest out.
_ADDRESSES_KEPT = 10_000


class Failures:
    """Counts failed attempts of each address within the last minute."""

    def __init__(self, allowed: int = FAILURES_ALLOWED, clock: Callable[[], float] = monotonic) -> None:
        self._allowed = allowed
        self._clock = clock
        self._times: dict[str, deque[float]] = {}

    def add(self, address: str) -> bool:
        """Count one more; False when it is too many."""
        now = self._clock()
        times = self._times.pop(address, None) or deque(maxlen=self._allowed + 1)
        times.append(now)
        while times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        self._times[address] = times
        if len(self._times) > _ADDRESSES_KEPT:
            del self._times[next(iter(self._times))]
        return len(times) <= self._allowed


def is_bearer_of(token: bytes, authorization: bytes) -> bool:
    """Whether an `Authorization` header carries this token. Takes the same time for every wrong one."""
    kind, _, given = authorization.partition(b" ")
    return kind.lower() == b"bearer" and hmac.compare_digest(given.strip(), token)


class BearerToken:
    """
    Lets requests with the right token through. A right token is never refused for the wrong ones that came from the same
    address: on one machine they all do.
    """

    def __init__(self, app: ASGIApp, token: str, failures: Failures) -> None:
        self._app = app
        self._token = token.encode()
        self._failures = failures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["path"] in OPEN_PATHS
            or scope["path"].startswith((GUARDED_ELSEWHERE, VIEW_PATHS))
        ):
            await self._app(scope, receive, send)
            return
        error = self._refusal(scope)
        if error is None:
            await self._app(scope, receive, send)
            return
        if isinstance(error, NotAuthenticated) and not self._failures.add((scope.get("client") or ("",))[0]):
            error = TooManyRequests("too many requests without a valid token", code="auth.too_many_failures")
        await problem(scope, error)(scope, receive, send)

    def _refusal(self, scope: Scope) -> HeadraceError | None:
        names = {name.lower() for name in QueryParams(scope.get("query_string", b""))}
        if names & _FORBIDDEN_PARAMETERS:
            return NotAuthenticated(
                "credentials don't belong into an address, which gets logged and shared",
                code="auth.query_forbidden",
                hint="send Authorization: Bearer <token>, and make a new token",
            )
        given = [value for value in Headers(scope=scope).getlist("authorization") if value.strip()]
        if len(given) > 1:
            return BadRequest("there are several Authorization headers", code="auth.ambiguous")
        if is_bearer_of(self._token, given[0].encode("latin-1") if given else b""):
            return None
        if not given and may_view(scope):
            return None
        if not given:
            return NotAuthenticated(
                "a token is needed", hint="send Authorization: Bearer <token>; see the file `token`"
            )
        return NotAuthenticated("the token is not valid", code="token.invalid", hint="see the file `token`")
