"""What git says when it fails, as a result with a reason and a hint. git speaks English here: its language is set to C."""

import base64
import re
from urllib.parse import quote

from headrace.errors import StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.source._failures import source_failed
from headrace.source._remote import Credential

_AUTH_HINT = "if the repository is private, give an access token that may read it; if not, check the address"
_NET_HINT = "try again later; if it stays, check the address and the host"

#: The first pattern that is found decides.
_KNOWN: tuple[tuple[str, FailureReason, str, str | None], ...] = (
    (
        r"Authentication failed|terminal prompts disabled|could not read (Username|Password)|returned error: 40[13]\b",
        FailureReason.SOURCE_AUTH_FAILED,
        "the git host asks for a credential, or does not accept the one it was given",
        _AUTH_HINT,
    ),
    (
        r"returned error: 30\d|unable to update url base from redirection",
        FailureReason.SOURCE_FORBIDDEN,
        "the git host sends us to another address, which is not followed (source.redirect_forbidden)",
        "use the address that the repository has now",
    ),
    (
        r"repository '.*' not found|does not appear to be a git repository|not valid: (is this a git repository|could not determine)"
        r"|returned error: 404|does not exist",
        FailureReason.SOURCE_NOT_FOUND,
        "there is no git repository at this address",
        "check the address; a private repository needs an access token",
    ),
    (
        r"not our ref|couldn't find remote ref|unadvertised object",
        FailureReason.SOURCE_NOT_FOUND,
        "the repository does not have this commit (any more)",
        "it may have been replaced by a forced push: build the branch's newest commit",
    ),
    (
        r"\.gitmodules|gitmodules(Url|Path|Update|Name|Parse|Symlink|Blob)",
        FailureReason.SOURCE_FORBIDDEN,
        "the repository's submodules are written in a way that could harm (source.submodule_forbidden)",
        "git fsck --strict shows what is wrong",
    ),
    (
        r"fsck error|hasDot|fullPathname|duplicateEntries|treeNotSorted|nullSha1|error: object [0-9a-f]{40}",
        FailureReason.SOURCE_FORBIDDEN,
        "the repository has objects that git refuses, such as paths named .git or ..",
        "git fsck --strict shows what is wrong",
    ),
    (
        r"[Oo]ut of memory|malloc failed|mmap failed|File too large|signal 25|[Cc]annot allocate|[Uu]nable to create thread",
        FailureReason.SOURCE_TOO_LARGE,
        "the repository is larger than this server takes",
        "the operator can raise HEADRACE_UPLOAD_BYTES",
    ),
    (
        r"Operation too slow|timed out|Timeout was reached",
        FailureReason.SOURCE_TIMEOUT,
        "the git host stopped answering, or is too slow",
        _NET_HINT,
    ),
    (
        r"certificate|gnutls_handshake|SSL_connect|CAfile",
        FailureReason.SOURCE_UNREACHABLE,
        "no trusted connection to the git host could be made",
        "its certificate must be known here; the operator can name one with HEADRACE_CA_FILE",
    ),
    (
        r"Could not resolve host|Failed to connect|CONNECT tunnel failed|from proxy after CONNECT|Proxy CONNECT aborted|Couldn't connect|Connection (refused|reset)|Empty reply|early EOF|hung up"
        r"|unexpected disconnect|RPC failed|transfer closed|returned error: (5\d\d|429)|Recv failure|recv error|SSL_read|invalid index-pack output|bad pack header",
        FailureReason.SOURCE_UNREACHABLE,
        "the git host can't be reached, or ended the connection",
        _NET_HINT,
    ),
)


def failure_of(text: str, credential: Credential | None) -> StepFailed:
    """The result behind git's words. Shows git's own line only where the cause isn't known, and never a secret."""
    for pattern, reason, message, hint in _KNOWN:
        if re.search(pattern, text):
            return source_failed(reason, message, hint=hint)
    return source_failed(
        FailureReason.SOURCE_UNREACHABLE,
        f"git could not fetch: {_telling_line(without_secret(text, credential))}",
        hint=_NET_HINT,
    )


def was_refused(text: str) -> bool:
    """Whether a server told us that it doesn't give commits by their name, only branches and tags."""
    return "unadvertised object" in text


def looks_damaged(text: str) -> bool:
    """Whether git complains of the repository that it fetches into."""
    return (
        re.search(r"bad object|corrupt|invalid sha1 pointer|not a git repository:|did not send all necessary", text)
        is not None
    )


def without_secret(text: str, credential: Credential | None) -> str:
    """`text` without the credential, also where a server sends it back in the form in which it got it."""
    if credential is None:
        return text
    pair = base64.b64encode(f"{credential.user}:{credential.token}".encode()).decode()
    for part in (
        pair,
        credential.token,
        quote(credential.token, safe=""),
        credential.user if not credential.token else "",
    ):
        if part:
            text = text.replace(part, "***")
    return text


def _telling_line(text: str) -> str:
    lines = (
        [line for line in text.splitlines() if line.startswith(("fatal:", "error:"))]
        or text.splitlines()
        or ["no reason"]
    )
    return "".join(char if char.isprintable() else "?" for char in lines[-1])[:300]
