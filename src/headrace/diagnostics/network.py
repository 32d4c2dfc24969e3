"""Words of a connection that could not be had, whatever tool says them."""

import re
from collections.abc import Mapping

from headrace.model.diagnostic import Failure, FailureReason

_DENIED = re.compile(
    r"ProxyConnectFailed|Proxy connection ended before receiving CONNECT response|egress\.denied|tunneling socket could not be established.*403|CONNECT tunnel failed, response 403|Received HTTP code 403 from proxy|Proxy response \(403\)|ENETUNREACH|EAI_AGAIN"
)
_AWAY = re.compile(
    r"ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|ERR_SOCKET_TIMEOUT|FETCH_ERROR|network request to|Could not resolve host"
    r"|Failed to connect to|tcp connect error|error sending request|META_FETCH_FAIL|\b(?:E?50[0234])\b.* - GET|fetch failed|self.signed certificate|problem related to network connectivity"
)
_HOST = re.compile(
    r"https?://(?P<a>[^/\s:@\"')]+)|ENOTFOUND (?P<b>[\w.-]+)|EAI_AGAIN (?P<c>[\w.-]+)|host: (?P<d>[\w.-]+)"
)

_CAPS = {
    "bytes": "moved more bytes than one command may",
    "upload_bytes": "sent more bytes than one command may",
    "connections": "connected more often than one command may",
}

#: Reasons that a refused connection can hide behind.
_VAGUE = frozenset(
    {
        FailureReason.COMMAND_FAILED,
        FailureReason.REGISTRY_UNAVAILABLE,
        FailureReason.REGISTRY_AUTH_FAILED,
        FailureReason.INSTALL_SCRIPT_FAILED,
        FailureReason.GIT_DEPENDENCY_FAILED,
    }
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


def blamed_on_denial(failure: Failure, denied: Mapping[str, str | None]) -> Failure:
    """
    The failure with the reason that the sandbox's proxy knows: tools say of a host that was denied whatever a refused
    connection makes them say. `denied` are the hosts that the step was kept from, with the package that tried it if known.
    """
    said = " ".join([failure.message, *(f"{d.message} {d.excerpt or ''}" for d in failure.diagnostics[:1])])
    host = next((host for host, package in denied.items() if host in said or _scripts_of(package, failure, said)), None)
    if host is None and len(denied) == 1 and failure.reason is FailureReason.GIT_DEPENDENCY_FAILED:
        # Some managers name the repository, and not the host that has its archives.
        host = next(iter(denied))
    if host is None or failure.reason not in _VAGUE:
        return failure
    by = f" (tried by {denied[host]})" if denied[host] else ""
    instead = (
        "take a release from the registry instead of the repository"
        if failure.reason is FailureReason.GIT_DEPENDENCY_FAILED
        else "use an allowed registry"
    )
    hint = f"{instead}, or have the operator add {host} to HEADRACE_REGISTRY_HOSTS"
    # What the tool guessed from the refusal, a missing token for example, would lead astray.
    first = [diagnostic.but(hint=hint) for diagnostic in failure.diagnostics[:1]]
    return failure.but(
        reason=FailureReason.NETWORK_DENIED,
        message=f"{host} can't be reached from this step: it is none of the hosts that the operator allows{by}",
        hint=hint,
        diagnostics=(*first, *failure.diagnostics[1:]),
    )


def blamed_on_absence(failure: Failure, unreachable: Mapping[str, str]) -> Failure:
    """
    The failure with what the sandbox's proxy knows of hosts that could not be reached. Its tools see a connection to the proxy
    that ends, as if it had been refused.
    """
    said = " ".join([failure.message, *(f"{d.message} {d.excerpt or ''}" for d in failure.diagnostics[:1])])
    host = next((host for host in unreachable if host in said), None)
    if host is None or failure.reason not in {*_VAGUE, FailureReason.NETWORK_DENIED}:
        return failure
    hint = "try again; if it stays, look at this machine's network and name servers"
    return failure.but(
        reason=FailureReason.REGISTRY_UNAVAILABLE,
        message=f"{host} can't be reached: {unreachable[host]}",
        hint=hint,
        diagnostics=(*(one.but(hint=hint) for one in failure.diagnostics[:1]), *failure.diagnostics[1:]),
    )


def blamed_on_limit(failure: Failure, limit: str | None) -> Failure:
    """The failure with the cap of the network that the command met: its tools only know that connections ended."""
    if limit is None or failure.reason not in {*_VAGUE, FailureReason.NETWORK_DENIED}:
        return failure
    return failure.but(
        reason=FailureReason.NETWORK_LIMIT,
        message=f"the command's connections were cut: it {_CAPS[limit]} (egress.limit)",
        hint=f"look at what it reached: headrace logs --network; the operator can raise HEADRACE_NETWORK_{limit.upper()}",
    )


def _scripts_of(package: str | None, failure: Failure, said: str) -> bool:
    """Whether it is the script of this package that failed."""
    name = (package or "").rpartition("@")[0] or package
    return bool(name) and failure.reason is FailureReason.INSTALL_SCRIPT_FAILED and str(name) in said


def host_in(text: str) -> str | None:
    match = _HOST.search(text)
    return next((name for name in match.groups() if name), None) if match else None
