"""Which headers pass between a visitor and a server behind the edge. Neither side is trusted with the other's."""

import re
from collections.abc import Iterable

from multidict import CIMultiDict

from headrace.edge.answer import RawHeaders
from headrace.edge.caller import COOKIE, SECURE_COOKIE, Caller

#: Headers of all answers together, in bytes. Their number is limited by the client that reads them.
MOST_BYTES = 64 * 1024

#: For one connection only (RFC 9110, 7.6.1).
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
#: Said by the edge itself, or already done by it.
_NOT_TAKEN = _HOP_BY_HOP | {b"host", b"expect", b"forwarded", b"x-real-ip"}
#: A page that was changed on the way has no tag, so a browser must not ask whether it still has it.
_CONDITIONS = frozenset(
    {
        b"accept-encoding",
        b"if-none-match",
        b"if-modified-since",
        b"if-match",
        b"if-unmodified-since",
        b"if-range",
        b"range",
    }
)
#: `date` is the server's. The others reach beyond the origin that sends them: other ports, and cookies of its whole site.
_NOT_GIVEN = _HOP_BY_HOP | {b"date", b"alt-svc", b"clear-site-data", b"x-sendfile", b"x-lighttpd-send-file"}
_NOT_GIVEN_PREFIXES = (b"x-accel-", b"x-headrace-", b"proxy-")
#: What describes the bytes of a page before it was changed.
_OF_BYTES = frozenset({b"content-length", b"etag", b"last-modified", b"accept-ranges", b"content-md5", b"digest"})
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_OURS = (COOKIE.encode(), SECURE_COOKIE.encode())


class BadHeaders(Exception):
    """The headers of an answer can't be passed on; the message says why."""


def for_upstream(
    headers: Iterable[tuple[bytes, bytes]], caller: Caller, host: str, *, page: bool, token_is_ours: bool
) -> CIMultiDict[str]:
    """
    `page`: the answer may be changed, so it must come whole and uncompressed. A server that is told another name of its own
    gets requests of its own pages with that name as their origin too: development servers refuse others.
    """
    given = [(name.lower(), value) for name, value in headers]
    dropped = _named_by_connection(given) | _NOT_TAKEN | (_CONDITIONS if page else frozenset())
    passed: CIMultiDict[str] = CIMultiDict(Host=host)
    for name, value in given:
        if name in dropped or name.startswith((b"x-forwarded-", b"x-headrace-", b"sec-websocket-")):
            continue
        if name == b"authorization" and token_is_ours:
            continue
        kept = _foreign_cookies(value) if name == b"cookie" else value
        if name == b"origin" and value.lower().partition(b"://")[2] == caller.host:
            kept = value.partition(b"://")[0] + b"://" + host.encode()
        if kept:
            passed.add(name.decode("latin-1"), kept.decode("latin-1"))
    passed["X-Forwarded-For"] = caller.address
    passed["X-Forwarded-Host"] = caller.host.decode("latin-1")
    passed["X-Forwarded-Proto"] = caller.scheme
    if page:
        passed["Accept-Encoding"] = "identity"
    return passed


def for_visitor(headers: Iterable[tuple[bytes, bytes]], host: bytes, *, changed: bool, status: int) -> RawHeaders:
    """`changed`: the body is not the one these headers describe. Raises BadHeaders."""
    given = [(name.lower(), value) for name, value in headers]
    if sum(len(name) + len(value) for name, value in given) > MOST_BYTES:
        raise BadHeaders(f"its headers are longer than {MOST_BYTES // 1024} KiB")
    dropped = _named_by_connection(given) | _NOT_GIVEN | (_OF_BYTES if changed else frozenset())
    if status in (204, 304):
        dropped |= {b"content-length"}
    passed = []
    for name, value in given:
        if name in dropped or name.startswith(_NOT_GIVEN_PREFIXES):
            continue
        if _CONTROL.search(value) or _CONTROL.search(name):
            raise BadHeaders("a header has characters that can't be in one")
        if name != b"set-cookie" or _is_its_own(value, host):
            passed.append((name, value))
    return tuple(passed)


def _named_by_connection(headers: list[tuple[bytes, bytes]]) -> frozenset[bytes]:
    return frozenset(
        name.strip().lower() for header, value in headers if header == b"connection" for name in value.split(b",")
    )


def _foreign_cookies(line: bytes) -> bytes:
    """The cookies that are not ours."""
    if not any(name in line for name in _OURS):
        return line
    return b";".join(pair for pair in line.split(b";") if not pair.strip().startswith(_OURS)).strip()


def _is_its_own(cookie: bytes, host: bytes) -> bool:
    """Whether a cookie is for this host, and none that only Headrace sets."""
    pair, *attributes = (part.strip() for part in cookie.split(b";"))
    if pair.startswith(_OURS):
        return False
    for attribute in attributes:
        name, _, value = attribute.partition(b"=")
        if name.strip().lower() == b"domain" and value.strip():
            return value.strip().lower().lstrip(b".") == host.partition(b":")[0]
    return True
