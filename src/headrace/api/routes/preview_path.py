"""
`/preview/{project_id}/…`: a preview without its own host name, for programs.

Here is the server's own origin, where a tenant's page must never run. So somebody who goes here with a browser is sent on
to the preview's own origin, and what programs get says that it may run nowhere but in a sandbox, and brings no cookies.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Message, Receive, Scope, Send

from headrace.api.context import find_project
from headrace.errors import Conflict
from headrace.model.project import Project
from headrace.pipeline.services import Services
from headrace.preview.links import sign, visit_grant
from headrace.preview.sessions import Previews

router = APIRouter()

#: How long a link is good for that a redirect carries: to be followed at once.
_LINK_SECONDS = 300
_SANDBOX = (b"content-security-policy", b"sandbox allow-scripts allow-forms")
#: What may be said in the server's own name. Anything else could change how browsers treat its origin.
_PASSED = frozenset(
    {
        b"accept-ranges",
        b"allow",
        b"cache-control",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-range",
        b"content-type",
        b"etag",
        b"last-modified",
        b"location",
        b"retry-after",
        b"vary",
        b"www-authenticate",
        b"x-headrace-preview",
        b"x-headrace-version",
    }
)


class PreviewPages(Protocol):
    """Serves the preview with a slug, and asks whether the caller may see it."""

    def __call__(self, slug: str, scope: Scope, receive: Receive, send: Send, /) -> Awaitable[None]: ...


async def preview_page(request: Request) -> Response:
    services: Services = request.app.state.services
    project = await find_project(services, request.path_params["project_id"])
    site = services.public.site(f"{project.slug}.preview")
    if site is None:
        raise Conflict("this server serves no previews", hint="start it with `headrace serve`")
    base = f"/preview/{project.id}"
    raw = request.scope.get("raw_path") or request.scope["path"].encode()
    rest = raw.partition(b"?")[0].removeprefix(base.encode())
    if not rest:
        return RedirectResponse(_with_query(f"{base}/", request), 308)
    if _navigates(request):
        own = f"{site.rstrip('/')}{rest.decode('latin-1')}"
        # Not RedirectResponse: it would quote the address a second time.
        headers = {"location": _with_grant(_with_query(own, request), project, request), "cache-control": "no-store"}
        return Response(status_code=307, headers=headers)
    return _Page(request.app.state.preview_pages, project, urlsplit(site).netloc, rest, base)


for _path in ("/preview/{project_id}", "/preview/{project_id}/{path:path}"):
    router.add_route(_path, preview_page, methods=["GET"], include_in_schema=False)


class _Page(Response):
    def __init__(self, pages: PreviewPages, project: Project, host: str, path: bytes, base: str) -> None:
        super().__init__()
        self._pages = pages
        self._slug = project.slug
        self._host = host.encode()
        self._path = path
        self._base = base.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        own = {**scope, "root_path": "", "raw_path": self._path, "path": self._path.decode("latin-1")}
        dropped = (b"host", b"cookie", b"origin", b"sec-fetch-mode")
        kept = [pair for pair in scope["headers"] if pair[0] not in dropped]
        # Programs get the project's own bytes, without what browsers get in addition.
        own["headers"] = [(b"host", self._host), (b"sec-fetch-mode", b"no-cors"), *kept]
        await self._pages(self._slug, own, receive, self._sandboxed(send))

    def _sandboxed(self, send: Send) -> Callable[[Message], Awaitable[None]]:
        async def forward(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": self._passed(message["headers"])}
            await send(message)

        return forward

    def _passed(self, headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        passed = [
            (name, self._here(value) if name == b"location" else value) for name, value in headers if name in _PASSED
        ]
        return [*passed, _SANDBOX, (b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]

    def _here(self, location: bytes) -> bytes:
        is_path = location.startswith(b"/") and not location.startswith((b"//", b"/\\"))
        return self._base + location if is_path else location


def _navigates(request: Request) -> bool:
    mode = request.headers.get("sec-fetch-mode")
    if request.method != "GET":
        return False
    return mode == "navigate" if mode is not None else "text/html" in request.headers.get("accept", "").lower()


def _with_query(url: str, request: Request) -> str:
    query = request.scope["query_string"].decode("latin-1")
    return f"{url}?{query}" if query else url


def _with_grant(url: str, project: Project, request: Request) -> str:
    """Who shows the API token need not show it to the preview's origin, where a tenant's code runs."""
    state: Any = request.app.state
    authorization = request.headers.get("authorization", "").encode("latin-1")
    if not state.is_member(authorization):
        return url
    previews: Previews = state.previews
    token = sign(previews.secret, visit_grant(project.id), int(time.time()) + _LINK_SECONDS)
    return f"{url}{'&' if '?' in url else '?'}headrace={token}"
