"""
Headrace's own paths on a preview's origin: the script that is in its pages, what that script tells, and what it hears.

Everybody who may see the page may use them, so they say no more than which version is shown.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Collection
from importlib.resources import files

import orjson
import structlog

from headrace.edge import preview_pages
from headrace.edge.answer import NO_CACHE
from headrace.edge.caller import Caller
from headrace.edge.conditions import names_etag
from headrace.edge.maps import maps_of
from headrace.edge.own_stream import OwnStream
from headrace.edge.pages import NOT_FOUND, Problem
from headrace.edge.previews import Previews
from headrace.edge.reply import Receive, Reply, Send
from headrace.edge.request import Request, Scope
from headrace.edge.upstreams import Upstreams
from headrace.errors import InvalidInput
from headrace.events.base import EventLog
from headrace.preview.console import MAX_BODY, Told, read_batch
from headrace.preview.visit import Visit

_SCRIPT = "/.headrace/page.js"
_CONSOLE = "/.headrace/console"
_EVENTS = "/.headrace/events"

#: The script's files, in their order: they share one function.
_PARTS = ("values.js", "told.js", "versions.js")
_ONCE = b"if (window.__headrace_page__) return;\nObject.defineProperty(window, '__headrace_page__', { value: true });\n"
_BODY_SECONDS = 10.0
#: Open event streams: each costs a connection.
_MOST_OF_ONE = 100
_MOST = 2_000

NOT_ALLOWED = Problem(405, "method.not_allowed", "Not this way", "This path has another method.")
NOT_OWN_PAGE = Problem(
    403, "report.foreign", "Not from there", "Only pages of this preview report here, and their browser says so."
)
TOO_LARGE = Problem(413, "body.too_large", "Too much", f"A report has at most {MAX_BODY} bytes.")
UNREADABLE = Problem(422, "report.invalid", "Not a report", "The body is not what the page's script sends.")
TOO_MANY = Problem(503, "preview.too_many_streams", "Too many", "Too many pages of this preview are open.")

_log = structlog.get_logger(__name__)


class Own:
    """For one event loop. `hosts`: names under which the server's own pages are, which may have previews in a frame."""

    def __init__(self, events: EventLog, upstreams: Upstreams, hosts: Collection[str]) -> None:
        self._upstreams = upstreams
        self._hosts = sorted({host.lower() for host in hosts} | {"localhost", "127.0.0.1", "[::1]"})
        self._told = Told()
        self._stream = OwnStream(events)
        self._open: Counter[str] = Counter()
        page = files("headrace.preview") / "page"
        self._script = b"\n".join((page / part).read_bytes() for part in _PARTS)

    async def __call__(self, visit: Visit, previews: Previews, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request below `/.headrace/` of somebody who may see the preview."""
        reply = Reply(Request(scope), receive, send)
        path, method = scope["path"], scope.get("method", "")
        if path == _CONSOLE:
            problem = await self._console(visit, previews, scope, receive) if method == "POST" else NOT_ALLOWED
            return await (reply.send(204, ()) if problem is None else _refuse(reply, problem))
        if path not in (_SCRIPT, _EVENTS):
            return await _refuse(reply, NOT_FOUND)
        if method not in ("GET", "HEAD"):
            return await _refuse(reply, NOT_ALLOWED)
        if path == _SCRIPT:
            return await self._page_script(visit, scope, reply)
        return await self._events(visit, previews, receive, send, reply)

    def close(self) -> None:
        """End the open event streams. For the start of a shutdown."""
        self._stream.close()

    async def _page_script(self, visit: Visit, scope: Scope, reply: Reply) -> None:
        caller = Caller(scope)
        colon, port = caller.host.decode("latin-1").rpartition(":")[1:]
        port = f":{port}" if colon and port.isdecimal() else ""
        configuration = {
            "origins": [f"{caller.scheme}://{host}{port}" for host in self._hosts],
            # A development server brings its own way to show changes.
            "reload": visit.upstream is None,
        }
        known = b"const config = %b;\n" % orjson.dumps(configuration)
        body = b'(() => {\n"use strict";\n' + _ONCE + known + self._script + b"})();\n"
        etag = b'"%b"' % hashlib.sha256(body).hexdigest()[:32].encode()
        headers = (
            (b"content-type", b"text/javascript; charset=utf-8"),
            (b"cache-control", NO_CACHE),
            (b"etag", etag),
            (b"x-content-type-options", b"nosniff"),
            (b"cross-origin-resource-policy", b"same-origin"),
        )
        asked = next((value for name, value in scope["headers"] if name == b"if-none-match"), None)
        if asked is not None and names_etag(asked, etag):
            return await reply.send(304, headers)
        return await reply.send(200, headers, body)

    async def _console(self, visit: Visit, previews: Previews, scope: Scope, receive: Receive) -> Problem | None:
        caller = Caller(scope)
        site = next((value for name, value in scope["headers"] if name == b"sec-fetch-site"), None)
        if (site is None and caller.origin is None) or site not in (None, b"same-origin") or caller.is_foreign:
            return NOT_OWN_PAGE
        body = await _body(receive)
        if body is None:
            return TOO_LARGE
        try:
            batch = read_batch(body)
        except InvalidInput as exc:
            return UNREADABLE._replace(detail=exc.message)
        project = visit.project
        events = await self._told.events(
            project.id,
            batch,
            origin=f"{caller.scheme}://{caller.host.decode('latin-1')}",
            map_of=maps_of(visit, self._upstreams),
            root=project.settings.root,
        )
        for event in events:
            await previews.record(event)
        return None

    async def _events(self, visit: Visit, previews: Previews, receive: Receive, send: Send, reply: Reply) -> None:
        project_id = visit.project.id
        if self._open[project_id] >= _MOST_OF_ONE or self._open.total() >= _MOST:
            return await _refuse(reply, TOO_MANY)
        self._open[project_id] += 1
        try:
            return await self._stream.run(visit, previews, receive, send, head_only=reply.head_only)
        finally:
            self._open[project_id] -= 1
            if not self._open[project_id]:
                del self._open[project_id]


async def _refuse(reply: Reply, problem: Problem) -> None:
    headers, body = preview_pages.as_program(problem)
    await reply.send(problem.status, headers, body)


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when it is too large, or doesn't come."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > MAX_BODY or message["type"] == "http.disconnect":
                    return None
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        return None
