"""The page that shows a preview to people: in a frame, with its status, its console and its errors."""

import re
import time
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import Query, Request
from starlette.responses import Response

from headrace.api.context import Previewing, Wired, find_project
from headrace.api.router import router_of
from headrace.api.viewers import COOKIE, expiry
from headrace.errors import Conflict
from headrace.preview.links import check, sign, view_grant, visit_grant

router = router_of("preview page", prefix="")

#: Nothing runs, loads or connects that isn't ours; the frame's origin is added.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'; frame-src "
)
#: Events of before that the page shows.
_HISTORY = 500
_PLACE = re.compile(r"\{\{(\w+)\}\}")
_KINDS = {"view.js": "text/javascript", "view.css": "text/css"}


@router.get("/view/assets/{name}", include_in_schema=False)
async def view_asset(request: Request, name: Literal["view.js", "view.css"]) -> Response:
    """Scripts and styles of the page: the same for everybody."""
    etag = f'"{_digest(name)}"'
    headers = {"Cache-Control": "no-cache", "ETag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(_part(name), 200, headers, f"{_KINDS[name]}; charset=utf-8")


@router.get("/view/{project_id}", include_in_schema=False)
async def view_preview(
    request: Request,
    services: Wired,
    previews: Previewing,
    project_id: str,
    access: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """The page, for those who have its cookie; a signed link gives it."""
    if access is not None:
        if not check(previews.secret, view_grant(project_id), access, time.time()):
            return _small(403, "This link opens nothing", "It has expired, or it is not whole. Ask for a new one.")
        return _entered(request, project_id, access)
    until = expiry(request.scope, project_id)
    if until is None:
        return _small(401, "A link is needed", "Run <code>headrace preview open</code>, or ask who runs the project.")
    project = await find_project(services, project_id)
    site = services.public.site(f"{project.slug}.preview")
    if site is None:
        raise Conflict("this server serves no previews", hint="start it with `headrace serve`")
    address = urlsplit(site)
    origin = f"{address.scheme}://{address.netloc}"
    last = await services.events.last(previews.log(project.id))
    values = {
        "project": project.id,
        "name": project.name,
        "origin": origin,
        "token": sign(previews.secret, visit_grant(project.id), until),
        "after": str(max(0, last - _HISTORY)),
        "last": str(last),
    }
    page = _PLACE.sub(lambda place: escape(values[place[1]]), _part("view.html").decode())
    return _page(200, page, _POLICY + origin)


def _entered(request: Request, project_id: str, token: str) -> Response:
    """
    Sets the cookie and leads on. Not by a redirect: a browser that came from another site would not send the cookie
    with it.
    """
    at = f"/view/{project_id}"
    response = _small(200, "One moment", f'<a href="{escape(at)}">Go on</a>', head=f"0;url={escape(at)}")
    response.set_cookie(
        COOKIE + project_id,
        token,
        max_age=max(1, int(token.partition(".")[0]) - int(time.time())),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


def _small(status: int, title: str, text: str, head: str | None = None) -> Response:
    refresh = f'<meta http-equiv="refresh" content="{head}">' if head else ""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'{refresh}<title>{title}</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/view/assets/view.css"></head>'
        f'<body class="small"><h1>{title}</h1><p>{text}</p></body></html>'
    )
    return _page(status, page, _POLICY + "'none'")


def _page(status: int, page: str, policy: str) -> Response:
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        # Windows that the frame opens don't get hold of this one.
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    return Response(page, status, headers, "text/html; charset=utf-8")


@cache
def _part(name: str) -> bytes:
    return (files("headrace.preview") / "page" / name).read_bytes()


@cache
def _digest(name: str) -> str:
    return sha256(_part(name)).hexdigest()[:32]
