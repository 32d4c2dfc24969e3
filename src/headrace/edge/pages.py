"""Small answers of the edge itself, for people as a page and for programs as problem+json (RFC 9457)."""

from http import HTTPStatus
from typing import NamedTuple

import orjson

from headrace.edge.accept import wants_page
from headrace.edge.answer import RawHeaders


class Problem(NamedTuple):
    status: int
    code: str
    title: str
    detail: str


UNKNOWN_DEPLOYMENT = Problem(
    404,
    "deployment.unknown",
    "No site lives here",
    "No deployment has this address. It may be misspelt, or it was removed.",
)
UNKNOWN_HOST = Problem(
    421,
    "host.unknown",
    "This host is not served here",
    "The request names a host that this server does not answer for.",
)
BAD_HOST = Problem(400, "host.invalid", "One host, please", "A request needs exactly one Host header.")
BAD_PATH = Problem(400, "path.invalid", "This address can't be", "The path is not valid, or tries to leave the site.")
NOT_FOUND = Problem(404, "page.not_found", "Page not found", "This site has no page at this address.")
NOT_ALLOWED = Problem(405, "method.not_allowed", "Only for reading", "A static site answers GET, HEAD and OPTIONS.")
NOT_ACCEPTABLE = Problem(
    406, "coding.not_acceptable", "No acceptable form", "The request's Accept-Encoding refuses every form of this file."
)
PRECONDITION = Problem(412, "precondition.failed", "The file has changed", "The If-Match header names another version.")
BAD_RANGE = Problem(416, "range.not_satisfiable", "Range not satisfiable", "The file has no bytes in this range.")
STORE_FAILED = Problem(
    503,
    "site.unavailable",
    "This site can't be shown now",
    "Headrace can't read its files at the moment. Please try again.",
)

#: Nothing in these pages runs or loads.
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 20vh auto 0; padding: 0 1.5rem }}
h1 {{ font-size: 1.5rem; margin: 0 0 .5rem }}
p {{ margin: 0; opacity: .75 }}
code {{ font-size: .8rem }}
</style>
<h1>{title}</h1>
<p>{detail}</p>
<p><code>{status} {code}</code></p>
</html>
"""

_POLICY = b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"


def render(problem: Problem, accept: bytes | None, more: RawHeaders = ()) -> tuple[RawHeaders, bytes]:
    """Headers and body. `more` are further headers."""
    if wants_page(accept):
        kind, body = b"text/html; charset=utf-8", _PAGE.format(**problem._asdict()).encode()
        more = (*more, (b"content-security-policy", _POLICY))
    else:
        kind, body = b"application/problem+json", orjson.dumps(_json(problem))
    return (
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"vary", b"Accept"),
        (b"x-content-type-options", b"nosniff"),
        *more,
    ), body


def _json(problem: Problem) -> dict[str, object]:
    return {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
    }
