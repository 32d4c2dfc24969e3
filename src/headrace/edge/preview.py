"""
Previews as visitors see them: who may come in, and then files, a development server, or how things stand.

Address -> project -> gate -> Headrace's own paths, the project's proxy rules, the development server, or the files of
the version that is shown.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from headrace.edge import pages, preview_pages
from headrace.edge.accept import wants_page
from headrace.edge.answer import RawHeaders
from headrace.edge.blobs import Blobs
from headrace.edge.caller import Caller
from headrace.edge.files import Files
from headrace.edge.forwards import Forwards
from headrace.edge.gate import Gate, Opened
from headrace.edge.inject import inject
from headrace.edge.memory import MIB, Memory
from headrace.edge.pages import Problem
from headrace.edge.preview_pages import PASSWORD_PATH
from headrace.edge.preview_sites import PreviewSites
from headrace.edge.previews import Previews
from headrace.edge.proxy import Proxy
from headrace.edge.proxy_socket import refuse_socket
from headrace.edge.reply import Message, Receive, Reply, Send
from headrace.edge.request import Request, Scope
from headrace.edge.upstreams import Destination
from headrace.errors import CorruptBlob, NotFound
from headrace.model.ids import is_id
from headrace.model.preview import PreviewState, PreviewStatus, Protection
from headrace.preview.visit import Upstream, Visit

#: Below it lies what is Headrace's own on a preview's origin.
OWN = b"/.headrace/"
#: How long a request waits for the version that it asks for.
WAIT_SECONDS = 30.0
_LONGEST_FORM = 4096
_FORM_SECONDS = 10.0

#: Serves what is Headrace's own.
Own = Callable[[Visit, Previews, Scope, Receive, Send], Awaitable[None]]

_log = structlog.get_logger(__name__)


class PreviewEdge:
    """Pure ASGI, except that it is told the address. `blobs` has the manifests and files of versions that are shown."""

    def __init__(
        self,
        previews: Previews,
        blobs: Blobs,
        proxy: Proxy,
        forwards: Forwards,
        is_member: Callable[[bytes], bool],
        own: Own | None = None,
    ) -> None:
        self._previews = previews
        self._proxy = proxy
        self._forwards = forwards
        self._sites = PreviewSites(blobs)
        self._files = Files(blobs, Memory(blobs, budget=16 * MIB))
        self._gate = Gate(is_member)
        self._serve_own = own

    async def __call__(self, slug: str, scope: Scope, receive: Receive, send: Send) -> None:
        caller = Caller(scope)
        request = Request(scope)
        answer = _Answer(caller, request, scope, receive, send)
        seen = await self._previews.look(slug)
        if seen is None:
            return await answer.problem(preview_pages.UNKNOWN)
        if caller.is_foreign and (caller.is_socket or caller.has_cookies or request.raw_path.startswith(OWN)):
            return await answer.problem(preview_pages.FOREIGN)
        if not await self._enters(seen, caller, request, answer):
            return None
        if request.raw_path.startswith(OWN):
            # A page in a forgotten tab asks for its events for ever: that keeps nothing awake.
            answer.send = _marked(send, seen)
            return await self._own(seen, answer)
        if caller.min_version is not None and not is_id(caller.min_version):
            return await answer.problem(preview_pages.BAD_VERSION)
        visit = await self._previews.visit(
            slug, min_version=caller.min_version, seconds=WAIT_SECONDS, of_open_page=caller.is_of_open_page
        )
        if visit is None:
            return await answer.problem(preview_pages.UNKNOWN)
        answer.send = _marked(send, visit)
        return await self._show(visit, caller, request, answer)

    async def _enters(self, visit: Visit, caller: Caller, request: Request, answer: "_Answer") -> bool:
        """Whether the request may go on. If not, it has its answer."""
        if request.raw_path == PASSWORD_PATH.encode() and request.method == "POST":
            opened = await self._gate.by_password(visit, caller, await _form(answer.receive))
            await (answer.go(opened) if isinstance(opened, Opened) else answer.problem(opened, form_to="/"))
            return False
        refused = self._gate.refusal(visit, caller)
        if refused is not None:
            asks = refused is preview_pages.NEEDS_PASSWORD
            await answer.problem(refused, form_to=request.target if asks else None)
            return False
        if caller.link is not None and caller.navigates:
            await answer.go(self._gate.by_link(visit, caller, request.target))
            return False
        return True

    async def _show(self, visit: Visit, caller: Caller, request: Request, answer: "_Answer") -> None:
        if visit.missed:
            return await answer.problem(preview_pages.of_visit(visit), visit.state)
        project = visit.project
        if destination := self._forwards.find(project.settings.proxy, request.raw_path):
            return await self._forwards.visit(destination, caller, answer.scope, answer.receive, answer.send)
        shown = visit.state.served_version
        if visit.upstream is not None:
            to = _destination(visit.upstream)
            way = (answer.scope, answer.receive, answer.send)
            return await self._proxy.visit(project.id, to, caller, *way, shown, with_script=True)
        if visit.manifest is None:
            return await answer.problem(preview_pages.of_visit(visit), visit.state)
        if caller.is_socket:
            return await refuse_socket(answer.scope, answer.send, 404)
        try:
            site = await self._sites.get(project.id, visit.manifest)
        except (NotFound, CorruptBlob):
            _log.exception("a preview's manifest can't be read", project=project.id)
            return await answer.problem(pages.STORE_FAILED)
        change = partial(inject, version=shown) if caller.navigates else None
        return await self._files.visit(
            site, partial(self._sites.previous, project.id), request, answer.reply(), change, shown
        )

    async def _own(self, visit: Visit, answer: "_Answer") -> None:
        if self._serve_own is None or answer.scope["type"] == "websocket":
            return await answer.problem(pages.NOT_FOUND)
        return await self._serve_own(visit, self._previews, answer.scope, answer.receive, answer.send)


class _Answer:
    """The request's channel, and the small answers of the edge itself on it."""

    def __init__(self, caller: Caller, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        self._caller = caller
        self._request = request
        self.scope = scope
        self.receive = receive
        self.send = send

    def reply(self) -> Reply:
        return Reply(self._request, self.receive, self.send)

    async def problem(self, problem: Problem, state: PreviewState | None = None, form_to: str | None = None) -> None:
        if self._caller.is_socket:
            return await refuse_socket(self.scope, self.send, problem.status)
        if wants_page(self._request.accept):
            headers, body = preview_pages.as_page(problem, state, form_to)
        else:
            headers, body = preview_pages.as_program(problem, state)
        return await self.reply().send(problem.status, headers, body)

    async def go(self, opened: Opened) -> None:
        cookie = ((b"set-cookie", opened.cookie),) if opened.cookie else ()
        headers: RawHeaders = (
            (b"location", opened.to.encode("latin-1")),
            (b"cache-control", b"no-store"),
            (b"referrer-policy", b"no-referrer"),
            *cookie,
        )
        await self.reply().send(303, headers, b"")


def _destination(upstream: Upstream) -> Destination:
    address = f"127.0.0.1:{upstream.port}"
    return Destination(id=upstream.id, address=address, host=upstream.host, make_socket=upstream.socket)


def _marked(send: Send, visit: Visit) -> Send:
    """Every answer says what it shows. What not everybody may see, no cache between may keep."""
    state = visit.state
    shown = state.served_version
    told = [(b"x-headrace-preview", _status(visit).encode())]
    if shown is not None:
        told.append((b"x-headrace-version", shown.encode()))
    is_public = visit.project.settings.preview.protection is Protection.PUBLIC

    async def mark(message: Message) -> None:
        if "headers" in message:
            headers = message["headers"]
            if not is_public:
                headers = [(name, _private(value) if name == b"cache-control" else value) for name, value in headers]
            message["headers"] = [*headers, *told]
        await send(message)

    return mark


def _status(visit: Visit) -> str:
    if visit.rests:
        return PreviewStatus.ASLEEP.value
    if visit.state.status is PreviewStatus.ASLEEP:
        return "ready" if visit.manifest is not None or visit.upstream is not None else "building"
    return visit.state.status.value


def _private(cache_control: bytes) -> bytes:
    return cache_control.replace(b"public", b"private")


async def _form(receive: Receive) -> bytes:
    """The body of a small form; what is longer is cut off, and is no form then."""
    body = b""
    try:
        async with asyncio.timeout(_FORM_SECONDS):
            while len(body) <= _LONGEST_FORM:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        return b""
    return body
