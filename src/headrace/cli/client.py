"""A small client of the REST API, on the standard library: starts fast and needs nothing installed."""

import http.client
import json
import ssl
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from headrace import errors
from headrace.errors import HeadraceError, ServerUnreachable

#: Seconds that a server may need for its answer to a plain request.
_PATIENCE = 60
#: Seconds during which a follower tries to reach a server that went away: a restart takes less.
_RECONNECT_SECONDS = 30
_RECONNECT_PAUSE = 0.2
_API = "/api/v1"
#: Statuses of an answer whose parts say which of many files is meant.
_REFUSALS = (409, 413, 422)

_BY_STATUS: dict[int, type[HeadraceError]] = {
    400: errors.InvalidInput,
    401: errors.NotAuthenticated,
    403: errors.NotAllowed,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.TooLarge,
    422: errors.InvalidInput,
    503: errors.Unavailable,
}


class Client:
    """Talks to the server at `url`. Every failure is a HeadraceError, the one that the server raised where it has a class."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self._parts = urlsplit(self.url)
        self._token = token

    def get(self, path: str, **query: object) -> Any:
        return self._json("GET", _API + path + _query(query))

    def post(self, path: str, body: object = None) -> Any:
        return self._json("POST", _API + path, json.dumps({} if body is None else body).encode(), "application/json")

    def answered(self, path: str, body: object, *, seconds: float = 0) -> tuple[int, Any]:
        """POST something that may be refused in parts: the status, and the answer or the problem. It may take `seconds` longer."""
        text = json.dumps(body).encode()
        with self._answer("POST", _API + path, text, "application/json", _PATIENCE + seconds, _REFUSALS) as response:
            return response.status, json.loads(response.read())

    def patch(self, path: str, body: object) -> Any:
        return self._json("PATCH", _API + path, json.dumps(body).encode(), "application/json")

    def put(self, path: str, body: object) -> Any:
        return self._json("PUT", _API + path, json.dumps(body).encode(), "application/json")

    def delete(self, path: str) -> Any:
        return self._json("DELETE", _API + path)

    def upload(self, path: str, archive: Iterable[bytes], **query: object) -> Any:
        """POST a tar archive; it is read in pieces and never held as a whole."""
        return self._json("POST", _API + path + _query(query), archive, "application/x-tar")

    def pages(self, path: str, *, most: int, **query: object) -> list[Any]:
        """The first `most` items of a list."""
        items: list[Any] = []
        cursor = None
        while len(items) < most:
            page = self.get(path, limit=min(100, most - len(items)), cursor=cursor, **query)
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return items

    def raw(self, path: str, **query: object) -> bytes:
        """The bytes of one answer."""
        with self._answer("GET", _API + path + _query(query)) as response:
            return response.read()

    def events(self, build: str, *, after: int = 0, follow: bool = True) -> Iterator[bytes]:
        """
        The stored lines of a build's events, each once; with `follow` until the build has ended.
        A connection that breaks is taken up behind the last line.
        """
        last_try = time.monotonic() + _RECONNECT_SECONDS
        while True:
            try:
                for line in self.stream(f"/builds/{quote(build, safe='')}/events", after=after, follow=follow):
                    event = json.loads(line)
                    after = event["seq"]
                    last_try = time.monotonic() + _RECONNECT_SECONDS
                    yield line
                    if event["type"] == "build.completed":
                        return
                if not follow:
                    return
            except ServerUnreachable as exc:
                if time.monotonic() > last_try:
                    raise ServerUnreachable(f"{self.url} went away", hint=f"later: headrace logs {build}") from exc
            time.sleep(_RECONNECT_PAUSE)

    def site_answers(self, url: str) -> bool:
        """Whether a site of this server answers. Its name need not resolve here: the server is asked by its address."""
        site = urlsplit(url)
        return self._status(site.path or "/", {"Host": site.netloc}) < 400

    def ready(self) -> bool:
        """Whether the server answers and can work."""
        return self._status(self._parts.path + "/readyz", {}) == 200

    def _status(self, path: str, headers: Mapping[str, str]) -> int:
        with closing(self._connect(_PATIENCE)) as connection:
            try:
                connection.request("GET", path, headers={"Connection": "close", **headers})
                return connection.getresponse().status
            except (OSError, http.client.HTTPException):
                return 599

    def stream(self, path: str, *, after: int, follow: bool) -> Iterator[bytes]:
        """The lines of a log of events as they come, behind the one with the number `after`, on one connection."""
        rest = b""
        with self._answer("GET", _API + path + _query({"after": after, "follow": follow}), patience=None) as response:
            while piece := response.read1(1 << 16):
                *lines, rest = (rest + piece).split(b"\n")
                yield from (line for line in lines if line)
            if rest:
                raise http.client.IncompleteRead(rest)

    def _json(
        self, method: str, path: str, body: bytes | Iterable[bytes] | None = None, media_type: str | None = None
    ) -> Any:
        with self._answer(method, path, body, media_type) as response:
            text = response.read()
        return json.loads(text) if text else None

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        media_type: str | None = None,
        patience: float | None = _PATIENCE,
        also: Collection[int] = (),
    ) -> Iterator[http.client.HTTPResponse]:
        headers = {"Accept": "application/json, application/x-ndjson", "Connection": "close"}
        if media_type:
            headers["Content-Type"] = media_type
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        with closing(self._connect(patience)) as connection:
            try:
                whole = self._parts.path + path
                connection.request(method, whole, body, headers, encode_chunked=not isinstance(body, bytes))
                response = connection.getresponse()
                if response.status >= 400 and response.status not in also:
                    raise error_of(response.status, response.read())
                yield response
            except (OSError, http.client.HTTPException) as exc:
                raise ServerUnreachable(
                    f"{self.url} does not answer: {str(exc) or type(exc).__name__}",
                    hint="start a server with `headrace serve`, or set HEADRACE_URL",
                ) from exc

    def _connect(self, patience: float | None) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "127.0.0.1", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=patience, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=patience)


def error_of(status: int, body: bytes) -> HeadraceError:
    """The error that a problem document stands for."""
    try:
        problem: Mapping[str, Any] = json.loads(body)
    except ValueError:
        problem = {}
    code = problem.get("code")
    kind = error_class(code) or _BY_STATUS.get(status, HeadraceError)
    message = problem.get("detail") or problem.get("title") or f"the server answered {status}"
    return kind(message, hint=problem.get("hint"), code=code)


def error_class(code: str | None) -> type[HeadraceError] | None:
    """The class with this code, if there is one."""
    waiting = [HeadraceError]
    while waiting:
        kind = waiting.pop()
        if kind.code == code:
            return kind
        waiting += kind.__subclasses__()
    return None


def _query(values: Mapping[str, object]) -> str:
    given = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in values.items()
        if value is not None
    }
    return "?" + urlencode(given) if given else ""
