"""
The proxy rules of a project: below some paths another server of this machine answers, so that a page under development
and its API have one origin.

A rule comes from whoever owns the project. Which addresses it may lead to is for the operator to say: without a limit it
would be a way into the network behind the server.
"""

from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from headrace.edge.caller import Caller
from headrace.edge.pages import Problem
from headrace.edge.paths import BadPath, decode_path
from headrace.edge.preview_pages import FOREIGN
from headrace.edge.proxy import Proxy, refuse
from headrace.edge.reply import Receive, Send
from headrace.edge.request import Scope
from headrace.edge.upstreams import Destination
from headrace.model.project import ProxyRule

REFUSED = Problem(502, "proxy.host_refused", "This server may not be asked", "")


class Forwards:
    """`hosts` are the addresses that rules may lead to, without ports."""

    def __init__(self, proxy: Proxy, hosts: Collection[str]) -> None:
        self._proxy = proxy
        self._hosts = frozenset(host.lower().strip("[]") for host in hosts)

    def find(self, rules: Sequence[ProxyRule], raw_path: bytes) -> str | None:
        """The address that answers for a path: that of the longest rule that fits."""
        if not rules:
            return None
        try:
            path = "/" + decode_path(raw_path).text
        except BadPath:
            # Where it leads could be read in two ways, so no rule takes it.
            return None
        fitting = [rule for rule in rules if _fits(rule.path, path)]
        return max(fitting, key=lambda rule: len(rule.path)).to if fitting else None

    async def visit(self, address: str, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        if caller.is_foreign and (caller.is_socket or caller.has_cookies):
            return await refuse(FOREIGN, scope, receive, send)
        try:
            target = urlsplit(address)
            host, port = (target.hostname or "").lower(), target.port or 80
        except ValueError:
            host, port = "", 0
        if host not in self._hosts:
            detail = f"The project's rule leads to {address}, which is not among the hosts of HEADRACE_PROXY_HOSTS."
            return await refuse(REFUSED._replace(detail=detail), scope, receive, send)
        to = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return await self._proxy.visit(
            to, Destination(id=to, address=to, host=target.netloc), caller, scope, receive, send
        )


def _fits(prefix: str, path: str) -> bool:
    return path.startswith(prefix) and (prefix.endswith("/") or path[len(prefix) :][:1] in ("", "/"))
