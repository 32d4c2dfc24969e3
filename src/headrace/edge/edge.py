"""
The edge: what visitors of sites talk to. A pure ASGI application, because a site's files are the busiest thing served.

Host -> label -> site -> path -> file. What is not in a deployment's manifest can't be reached by any spelling of a path.
"""

from collections.abc import Awaitable, Callable, Collection

import structlog

from headrace.edge import pages
from headrace.edge.accept import codings_for
from headrace.edge.address import OWN, Addresses, UnknownHost
from headrace.edge.answer import Answer
from headrace.edge.caller import Caller
from headrace.edge.files import Files
from headrace.edge.forwards import Forwards
from headrace.edge.memory import Memory
from headrace.edge.proxy_socket import refuse_socket
from headrace.edge.reply import Receive, Reply, Send
from headrace.edge.request import Request, Scope
from headrace.edge.sites import LIFE_SECONDS, Resolve, Sites, Target
from headrace.store.base import Store

__all__ = ["Edge", "Target"]

App = Callable[[Scope, Receive, Send], Awaitable[None]]
#: The same for the preview of the project with a slug.
PreviewApp = Callable[[str, Scope, Receive, Send], Awaitable[None]]

#: What labels of previews end with.
PREVIEW = ".preview"

#: Closing before accepting is a 403.
_NOTHING_TO_TALK_TO = {"type": "websocket.close", "code": 1000}
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
        previews: PreviewApp | None = None,
        forwards: Forwards | None = None,
    ) -> None:
        self._fallback = fallback
        self._addresses = Addresses(sites_domain, own_hosts)
        self._sites = Sites(store, resolve, life_seconds=life_seconds)
        self._memory = memory or Memory(store)
        self._files = Files(store, self._memory)
        self._previews = previews
        self._forwards = forwards
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
        if self._previews is not None and label is not None and label.endswith(PREVIEW):
            return await self._previews(label.removesuffix(PREVIEW), scope, receive, send)
        if scope["type"] == "websocket" and (label is None or self._forwards is None):
            return await send(_NOTHING_TO_TALK_TO)
        reply = Reply(request, receive, send)
        if label is None:
            return await reply.problem(pages.UNKNOWN_HOST if request.host else pages.BAD_HOST)
        try:
            site = await self._sites.get(label)
        except Exception:
            _log.exception("a site can't be opened", label=label)
            return await _refuse(pages.STORE_FAILED, scope, send, reply)
        if site is None:
            return await _refuse(pages.UNKNOWN_DEPLOYMENT, scope, send, reply)
        if site.proxy and self._forwards and (address := self._forwards.find(site.proxy, request.raw_path)):
            return await self._forwards.visit(address, Caller(scope, of_preview=False), scope, receive, send)
        if scope["type"] == "websocket":
            return await send(_NOTHING_TO_TALK_TO)
        reply.deployment = site.deployment_id
        return await self._files.visit(site, lambda: self._sites.previous(label), request, reply)

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


async def _refuse(problem: pages.Problem, scope: Scope, send: Send, reply: Reply) -> None:
    if scope["type"] == "websocket":
        return await refuse_socket(scope, send, problem.status)
    return await reply.problem(problem)
