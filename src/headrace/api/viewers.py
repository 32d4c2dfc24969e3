"""People without a token who were given a link to a preview's page: what they may do, and how they are known."""

import re
import time
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.types import Scope

from headrace.model.ids import is_id
from headrace.preview.links import check, view_grant

#: The cookie of one project's page; its name ends with the project's id.
COOKIE = "headrace_view_"

_ALLOWED = re.compile(r"/api/v1/projects/(?P<project>[a-z0-9_]+)/preview(?P<action>|/events|/wake|/stop)")
_METHODS = {"": "GET", "/events": "GET", "/wake": "POST", "/stop": "POST"}


def may_view(scope: Scope) -> bool:
    """
    Whether a request without a token is one that the page of a preview makes, by somebody who may see that page: its state
    and events, to wake it and to put it to sleep. Other sites can't make a browser send such a request.
    """
    found = _ALLOWED.fullmatch(scope["path"])
    if found is None or scope["method"] != _METHODS[found["action"]]:
        return False
    headers = Headers(scope=scope)
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    if scope["method"] == "POST" and not _is_own_origin(headers):
        return False
    return is_viewer(scope, found["project"])


def is_viewer(scope: Scope, project_id: str) -> bool:
    """Whether the request carries the cookie of this project's page."""
    return expiry(scope, project_id) is not None


def expiry(scope: Scope, project_id: str) -> int | None:
    """The Unix time until which the cookie of this project's page lets its owner in; None when it does not."""
    previews = getattr(scope["app"].state, "previews", None)
    given = _cookie(Headers(scope=scope), COOKIE + project_id) if is_id(project_id) else None
    if previews is None or given is None:
        return None
    return int(given.partition(".")[0]) if check(previews.secret, view_grant(project_id), given, time.time()) else None


def _is_own_origin(headers: Headers) -> bool:
    scheme, _, host = headers.get("origin", "").partition("://")
    return scheme in ("http", "https") and host.lower() == headers.get("host", "").lower()


def _cookie(headers: Headers, name: str) -> str | None:
    for line in headers.getlist("cookie"):
        try:
            found = SimpleCookie(line).get(name)
        except CookieError:
            continue
        if found is not None:
            return found.value
    return None
