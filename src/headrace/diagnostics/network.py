"""Words of a connection that could not be had, whatever tool says them."""

import re

from headrace.model.diagnostic import FailureReason

_DENIED = re.compile(
    r"Proxy connection ended before receiving CONNECT response|egress\.denied|tunneling socket could not be established.*403|CONNECT tunnel failed, response 403|Received HTTP code 403 from proxy|Proxy response \(403\)|ENETUNREACH|EAI_AGAIN"
)
_AWAY = re.compile(
    r"ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|ERR_SOCKET_TIMEOUT|FETCH_ERROR|network request to|Could not resolve host"
    r"|Failed to connect to|tcp connect error|error sending request|META_FETCH_FAIL|\b(?:E?50[0234])\b.* - GET|fetch failed|self.signed certificate"
)
_HOST = re.compile(
    r"https?://(?P<a>[^/\s:@\"')]+)|ENOTFOUND (?P<b>[\w.-]+)|EAI_AGAIN (?P<c>[\w.-]+)|host: (?P<d>[\w.-]+)"
)


def network_failure(text: str) -> tuple[FailureReason, str, str] | None:
    """Reason, message and hint, when `text` is about a connection that could not be had."""
    denied, away = _DENIED.search(text), _AWAY.search(text)
    if not denied and not away:
        return None
    host = host_in(text) or "a host"
    if denied:
        return (
            FailureReason.NETWORK_DENIED,
            f"{host} can't be reached from this step",
            "an install reaches only registries that the operator allows; see network below [build] for build commands",
        )
    return (
        FailureReason.REGISTRY_UNAVAILABLE,
        f"{host} does not answer",
        "try again; if it stays, check the registry's address in .npmrc",
    )


def host_in(text: str) -> str | None:
    match = _HOST.search(text)
    return next((name for name in match.groups() if name), None) if match else None
