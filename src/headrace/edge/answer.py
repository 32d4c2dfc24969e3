"""An answer made ready once: its headers as the server framework takes them, and as the bytes that go over the wire."""

from collections.abc import Mapping
from functools import cached_property
from http import HTTPStatus

from headrace.model.digest import Digest, hex_of

RawHeaders = tuple[tuple[bytes, bytes], ...]

#: Names that a 304 leaves out: what describes the bytes that are not sent.
_OF_BODY = frozenset({b"content-length", b"content-type", b"content-encoding", b"accept-ranges"})

FOREVER = b"public, max-age=31536000, immutable"
ASK_FIRST = b"public, max-age=0, must-revalidate"
NO_CACHE = b"no-cache"


class Answer:
    """One representation of a file at one path of one deployment."""

    def __init__(self, status: int, headers: Mapping[bytes, bytes], digest: Digest, size: int) -> None:
        self.status = status
        self.digest = digest
        self.size = size
        self.etag = headers[b"etag"]
        self.headers: RawHeaders = tuple(headers.items())
        #: Status line and headers, without the empty line that ends them.
        self.head = head(status, self.headers)

    @cached_property
    def unchanged_headers(self) -> RawHeaders:
        return tuple(pair for pair in self.headers if pair[0] not in _OF_BODY)

    @cached_property
    def unchanged_head(self) -> bytes:
        return head(304, self.unchanged_headers)


def head(status: int, headers: RawHeaders) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()]
    lines += [b"%b: %b\r\n" % pair for pair in headers]
    return b"".join(lines)


def etag_of(digest: Digest) -> bytes:
    """Strong: another coding of the same file is another blob, so it has another tag."""
    return b'"%b"' % hex_of(digest)[:32].encode()


def cache_control(path: str, media_type: str, *, immutable: bool) -> bytes:
    if immutable:
        return FOREVER
    return NO_CACHE if media_type.startswith("text/html") or path.endswith("sw.js") else ASK_FIRST
