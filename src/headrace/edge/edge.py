"""
The edge: what visitors of sites talk to. A pure ASGI application, because a site's files are the busiest thing served.

Host -> label -> site -> path -> file. What is not in a deployment's manifest can't be reached by any spelling of a path.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import aclosing, suppress
from typing import cast

import structlog

from headrace.edge import pages
from headrace.edge.accept import IDENTITY, codings_for
from headrace.edge.address import OWN, Addresses, UnknownHost
from headrace.edge.answer import ASK_FIRST, Answer, RawHeaders
from headrace.edge.conditions import Unsatisfiable, byte_range, names_etag, names_etag_strongly
from headrace.edge.memory import Memory
from headrace.edge.paths import BadPath, RequestPath, decode_path
from headrace.edge.reply import Receive, Reply, Send
from headrace.edge.request import Request, Scope
from headrace.edge.site import Found, Redirect, Site
from headrace.edge.sites import LIFE_SECONDS, Resolve, Sites, Target
from headrace.errors import CorruptBlob, NotFound
from headrace.model.digest import Digest
from headrace.store.base import Store

__all__ = ["Edge", "Target"]

App = Callable[[Scope, Receive, Send], Awaitable[None]]

_ALLOW = ((b"allow", b"GET, HEAD, OPTIONS"),)
_MOST_HOSTS = 10_000

_log = structlog.get_logger(__name__)


class Edge:
    """Answers for sites; hands everything that is meant for the server itself to `fallback`."""

    def __init__(
        self,
        store: Store,
        resolve: Resolve,
        fallback: App,
        *,
        sites_domain: str = "localhost",
        own_hosts: Collection[str] = (),
        life_seconds: float = LIFE_SECONDS,
        memory: Memory | None = None,
    ) -> None:
        self._store = store
        self._fallback = fallback
        self._addresses = Addresses(sites_domain, own_hosts)
        self._sites = Sites(store, resolve, life_seconds=life_seconds)
        self._memory = memory or Memory(store)
        self._labels: dict[bytes, str] = {}

    def invalidate(self, label: str) -> None:
        """Tell that `label` points elsewhere now: every request from here on sees it."""
        self._sites.invalidate(label)

    def hot(self, host: bytes, raw_path: bytes, accept_encoding: bytes | None) -> tuple[Answer, bytes] | None:
        """
        The whole answer to an unconditional GET, if nothing has to be waited for. Says exactly what `__call__` would.
        """
        site = self._sites.current(self._labels.get(host, OWN))
        if site is None:
            return None
        answer = site.hot.get((raw_path, codings_for(accept_encoding)))
        if answer is None:
            return None
        body = self._memory.get(answer.digest)
        return (answer, body) if body is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._fallback(scope, receive, send)
        request = Request(scope)
        try:
            label = self._label(request)
        except UnknownHost:
            label = None
        if label == OWN:
            return await self._fallback(scope, receive, send)
        if scope["type"] == "websocket":
            # A static site has nothing to talk to. Closing before accepting is a 403.
            return await send({"type": "websocket.close", "code": 1000})
        reply = Reply(request, receive, send)
        if label is None:
            return await reply.problem(pages.UNKNOWN_HOST if request.host else pages.BAD_HOST)
        try:
            site = await self._sites.get(label)
        except Exception:
            _log.exception("a site can't be opened", label=label)
            return await reply.problem(pages.STORE_FAILED)
        if site is None:
            return await reply.problem(pages.UNKNOWN_DEPLOYMENT)
        return await self._visit(site, label, request, reply)

    def _label(self, request: Request) -> str:
        if request.host is None:
            raise UnknownHost
        label = self._labels.get(request.host)
        if label is None:
            label = self._addresses.label(request.host)
            if len(self._labels) >= _MOST_HOSTS:
                self._labels.clear()
            self._labels[request.host] = label
        return label

    async def _visit(self, site: Site, label: str, request: Request, reply: Reply) -> None:
        reply.deployment = site.deployment_id
        if request.method == "OPTIONS":
            return await reply.send(204, _ALLOW)
        if request.method not in ("GET", "HEAD"):
            return await reply.problem(pages.NOT_ALLOWED, _ALLOW)
        try:
            path = decode_path(request.raw_path)
        except BadPath:
            return await reply.problem(pages.BAD_PATH)
        found = site.find(path, request.query, request.accept)
        if found is None or (isinstance(found, Found) and found.status == 404):
            for before in self._sites.previous(label):
                # A page that was loaded before the switch still finds its own parts.
                if old := before.immutable(path.text):
                    return await self._file(before, path, old, request, reply)
        if found is None:
            return await reply.problem(pages.NOT_FOUND)
        if isinstance(found, Redirect):
            location = ((b"location", found.location.encode()), (b"cache-control", ASK_FIRST))
            return await reply.send(found.status, location, b"")
        return await self._file(site, path, found, request, reply)

    async def _file(self, site: Site, path: RequestPath, found: Found, request: Request, reply: Reply) -> None:
        codings = codings_for(request.accept_encoding)
        if request.range is not None and IDENTITY in codings:
            # Parts of a compressed form are of no use to those who ask for parts.
            codings = (IDENTITY,)
        if not any(coding == IDENTITY or coding in found.file.encodings for coding in codings):
            return await reply.problem(pages.NOT_ACCEPTABLE, ((b"vary", b"Accept-Encoding"),))
        try:
            answer, body = await self._representation(site, path, found, codings)
        except (NotFound, CorruptBlob):
            _log.exception("a published file is missing from the store", deployment=site.deployment_id, path=path.text)
            return await reply.problem(pages.STORE_FAILED)
        if request.simple and body is not None:
            site.remember(request.raw_path, codings, found, answer)
        return await self._conditional(answer, body, request, reply)

    async def _representation(
        self, site: Site, path: RequestPath, found: Found, codings: tuple[str, ...]
    ) -> tuple[Answer, bytes | None]:
        """The most welcome form of the file that can be read, and its bytes if they are few. Raises NotFound, CorruptBlob."""
        blobs: list[tuple[str, Digest]] = [
            (coding, found.file.digest if coding == IDENTITY else found.file.encodings[coding])
            for coding in codings
            if coding == IDENTITY or coding in found.file.encodings
        ]
        small = found.file.size <= self._memory.largest
        for coding, digest in blobs:
            with suppress(NotFound, CorruptBlob):
                body = await self._memory.load(digest) if small else None
                size = len(body) if body is not None else await self._store.size(digest)
                return site.answer(path.text, found, coding, digest, size), body
        raise NotFound(f"no form of {found.file.path} can be read")

    async def _conditional(self, answer: Answer, body: bytes | None, request: Request, reply: Reply) -> None:
        if answer.status != 200:
            return await self._send(answer, answer.headers, body, (0, answer.size), reply)
        if request.if_match is not None and not names_etag_strongly(request.if_match, answer.etag):
            return await reply.problem(pages.PRECONDITION)
        if request.if_none_match is not None and names_etag(request.if_none_match, answer.etag):
            return await reply.start(304, answer.unchanged_headers, b"")
        span = None
        if request.range is not None and request.if_range in (None, answer.etag):
            try:
                span = byte_range(request.range, answer.size)
            except Unsatisfiable:
                return await reply.problem(pages.BAD_RANGE, ((b"content-range", b"bytes */%d" % answer.size),))
        if span is None:
            return await self._send(answer, answer.headers, body, (0, answer.size), reply)
        headers = (
            *(pair for pair in answer.headers if pair[0] != b"content-length"),
            (b"content-length", b"%d" % (span[1] - span[0])),
            (b"content-range", b"bytes %d-%d/%d" % (span[0], span[1] - 1, answer.size)),
        )
        return await self._send(answer, headers, body, span, reply, status=206)

    async def _send(
        self,
        answer: Answer,
        headers: RawHeaders,
        body: bytes | None,
        span: tuple[int, int],
        reply: Reply,
        status: int | None = None,
    ) -> None:
        status = status or answer.status
        if body is not None or reply.head_only:
            await reply.start(status, headers, (body or b"")[span[0] : span[1]])
            return
        stream = cast("AsyncGenerator[bytes, None]", self._store.stream(answer.digest, *span))
        async with aclosing(stream) as pieces:
            try:
                first = await anext(pieces, b"")
            except (NotFound, CorruptBlob):
                await reply.problem(pages.STORE_FAILED)
                return
            await reply.stream(status, headers, first, pieces)
