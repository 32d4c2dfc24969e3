"""Files of sites on their way to visitors: the form that a client takes, whole or in part, or only that it has not changed."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import cast

import structlog

from headrace.edge import pages
from headrace.edge.accept import IDENTITY, codings_for
from headrace.edge.answer import ASK_FIRST, Answer, RawHeaders
from headrace.edge.blobs import Blobs
from headrace.edge.conditions import Unsatisfiable, byte_range, names_etag, names_etag_strongly
from headrace.edge.memory import Memory
from headrace.edge.paths import BadPath, RequestPath, decode_path
from headrace.edge.reply import Reply
from headrace.edge.request import Request
from headrace.edge.site import Found, Redirect, Site
from headrace.errors import CorruptBlob, NotFound
from headrace.model.digest import Digest

_ALLOW = ((b"allow", b"GET, HEAD, OPTIONS"),)

_log = structlog.get_logger(__name__)


class Files:
    """For one event loop."""

    def __init__(self, blobs: Blobs, memory: Memory) -> None:
        self._blobs = blobs
        self.memory = memory

    async def visit(
        self,
        site: Site,
        previous: Callable[[], list[Site]],
        request: Request,
        reply: Reply,
        change: Callable[[bytes], bytes] | None = None,
        changed_by: str | None = None,
    ) -> None:
        """
        Answer a request to a site. Pages that were loaded from one of the `previous` sites still find their own parts.
        `change` is applied to the bytes of an HTML page; it does the same for every page while `changed_by` is the same.
        """
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
            for before in previous():
                if old := before.immutable(path.text):
                    return await self._file(before, path, old, request, reply)
        if found is None:
            return await reply.problem(pages.NOT_FOUND)
        if isinstance(found, Redirect):
            location = ((b"location", found.location.encode()), (b"cache-control", ASK_FIRST))
            return await reply.send(found.status, location, b"")
        if change is not None and found.file.media_type.startswith("text/html"):
            return await self._changed(site, path, found, partial(_change, change, changed_by or ""), request, reply)
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

    async def _changed(
        self,
        site: Site,
        path: RequestPath,
        found: Found,
        change: Callable[[Answer, bytes], tuple[Answer, bytes]],
        request: Request,
        reply: Reply,
    ) -> None:
        """The page as browsers shall have it: other bytes, so another length and another tag."""
        try:
            answer, body = await self._representation(site, path, found, (IDENTITY,))
        except (NotFound, CorruptBlob):
            _log.exception("a published page is missing from the store", path=path.text)
            return await reply.problem(pages.STORE_FAILED)
        if body is None:
            # Nobody writes pages of this size by hand, and whole pages have to fit into memory here.
            return await self._conditional(answer, body, request, reply)
        return await self._conditional(*change(answer, body), request, reply)

    async def _representation(
        self, site: Site, path: RequestPath, found: Found, codings: tuple[str, ...]
    ) -> tuple[Answer, bytes | None]:
        """The most welcome form of the file that can be read, and its bytes if they are few. Raises NotFound, CorruptBlob."""
        blobs: list[tuple[str, Digest]] = [
            (coding, found.file.digest if coding == IDENTITY else found.file.encodings[coding])
            for coding in codings
            if coding == IDENTITY or coding in found.file.encodings
        ]
        small = found.file.size <= self.memory.largest
        for coding, digest in blobs:
            with suppress(NotFound, CorruptBlob):
                body = await self.memory.load(digest) if small else None
                size = len(body) if body is not None else await self._blobs.size(digest)
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
        stream = cast("AsyncGenerator[bytes, None]", self._blobs.stream(answer.digest, *span))
        async with aclosing(stream) as pieces:
            try:
                first = await anext(pieces, b"")
            except (NotFound, CorruptBlob):
                await reply.problem(pages.STORE_FAILED)
                return
            await reply.stream(status, headers, first, pieces)


def _change(change: Callable[[bytes], bytes], changed_by: str, answer: Answer, body: bytes) -> tuple[Answer, bytes]:
    changed = change(body)
    headers = dict(answer.headers)
    headers[b"content-length"] = b"%d" % len(changed)
    headers[b"etag"] = b'%b-page-%b"' % (answer.etag[:-1], changed_by.encode())
    headers[b"vary"] = b", ".join(filter(None, (headers.get(b"vary"), b"Sec-Fetch-Mode")))
    return Answer(answer.status, headers, answer.digest, len(changed)), changed
