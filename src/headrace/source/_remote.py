"""
What a git source may be called: addresses, branches and tags, commits. Decided by patterns, before git sees a byte.

The address that git gets is put together from the parts matched here, so no second parser reads the user's own spelling.
Percent signs, `$` and `~` are refused although https gives them no meaning: nothing between here and the server may come
to expand them.
"""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import unquote

from headrace.errors import InvalidInput

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_USER_PART = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#@\\\s]*)@")
_HTTPS = re.compile(r"(?i:https)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?/(.+)")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SEGMENT = re.compile(r"[A-Za-z0-9._+@:,=-](?:[A-Za-z0-9._+@:,=-]|%20)*")
_FILE = re.compile(r"file://(/[^\x00-\x1f\x7f$%\\?#]*)")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_COMMIT = re.compile(r"[0-9a-fA-F]{40}")

_URL_BYTES = 2048
_REF_BYTES = 255


@dataclass(frozen=True)
class Credential:
    """What a git host asks for. Never printed."""

    user: str
    token: str

    def __repr__(self) -> str:
        return "Credential(…)"


@dataclass(frozen=True)
class Remote:
    """A repository's address, taken apart. `host` is empty for a directory of this machine."""

    url: str
    host: str = ""
    port: int = 0


def split_credential(url: str) -> tuple[str, Credential | None]:
    """
    The address without what is before its `@`, and that, which must be kept apart and never printed or stored with it.

    Says nothing about the address itself: `parse_remote` does. Raises InvalidInput for a credential that no host can mean.
    """
    found = _USER_PART.match(url)
    if not found:
        return url, None
    user, _, token = found[2].partition(":")
    credential = Credential(user=unquote(user), token=unquote(token))
    text = credential.user + credential.token
    # A newline would begin another field of git's credential protocol.
    if credential.user.startswith("-") or any(unicodedata.category(char) == "Cc" for char in text):
        raise _refused_url("its user part is not one")
    return found[1] + url[found.end() :], credential if text else None


def parse_remote(url: str, *, allow_files: bool = False) -> Remote:
    """The address as git will get it. Raises InvalidInput (`source.url_not_allowed`); the message never repeats the address."""
    if len(url) > _URL_BYTES:
        raise _refused_url(f"it is longer than {_URL_BYTES} characters")
    if not url.isascii():
        raise _refused_url("it has characters beyond ASCII", hint="write an international host name in its xn-- form")
    if not url.isprintable() or " " in url:
        raise _refused_url("it has blanks or control characters")
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise _refused_url("it does not begin with https://")
    if scheme[1] == "file":
        return _local(url, allow_files)
    found = _HTTPS.fullmatch(url)
    if scheme[1].lower() != "https":
        raise _refused_url(f"the scheme {scheme[1][:20]} is not allowed", hint="use https")
    if found is None:
        raise _refused_url(
            "it is not https://host/path", hint="such as https://github.com/owner/name; no user, query or fragment"
        )
    host, port = _host(found[1]), int(found[2] or 443)
    if not 0 < port < 65536:
        raise _refused_url("its port is not one")
    segments = found[3].removesuffix("/").split("/")
    if any(part in {".", ".."} or not _SEGMENT.fullmatch(part) for part in segments):
        raise _refused_url("its path has characters or parts that no repository needs")
    suffix = "" if port == 443 else f":{port}"
    return Remote(url=f"https://{host}{suffix}/{'/'.join(segments)}", host=host.strip("[]"), port=port)


def _local(url: str, allowed: bool) -> Remote:
    found = _FILE.fullmatch(url)
    if not allowed:
        raise _refused_url("file:// is not allowed on this server", hint="use https")
    if found is None or ".." in found[1].split("/"):
        raise _refused_url("it is not file:// with an absolute path")
    return Remote(url=f"file://{found[1]}")


def _host(text: str) -> str:
    """A host as the one who connects reads it. Numbers that only some parsers take for an address are refused."""
    if text.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(text[1:-1])}]"
        except ValueError:
            raise _refused_url("its host is not an IPv6 address") from None
    labels = text.lower().split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(text))
        except ValueError:
            raise _refused_url("its host is a number, not a name", hint="write the host's name") from None
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refused_url("its host is not a name")
    return ".".join(labels)


def _refused_url(why: str, *, hint: str = "use https://host/owner/name") -> InvalidInput:
    return InvalidInput(
        f"this address of a git repository is not allowed: {why}",
        hint=hint,
        code="source.url_not_allowed",
        field="/url",
    )


def check_ref(ref: str) -> str:
    """
    The name of a branch or a tag, as git's own rules have it, without a leading dash. Raises InvalidInput (`source.ref_invalid`).

    A full name must be below refs/heads or refs/tags: the other places are where hosts keep what strangers proposed.
    """
    wrong = (
        not 0 < len(ref.encode(errors="replace")) <= _REF_BYTES
        or ref.startswith(("-", "/"))
        or ref.endswith(("/", "."))
        or any(mark in ref for mark in ("..", "//", "@{"))
        or any(char in "~^:?*[\\" or unicodedata.category(char)[0] in "CZ" for char in ref)
        or any(part.startswith(".") or part.endswith(".lock") for part in ref.split("/"))
        or ref in {"@", "HEAD"}
        or (ref.startswith("refs/") and not ref.startswith(("refs/heads/", "refs/tags/")))
    )
    if wrong:
        raise InvalidInput(
            "this is not the name of a branch or a tag",
            hint="write it as git does, such as main or v1.2",
            code="source.ref_invalid",
            field="/ref",
        )
    return ref


def check_commit(commit: str) -> str:
    """A full SHA-1 name in lower case. Raises InvalidInput (`source.commit_invalid`)."""
    if not _COMMIT.fullmatch(commit):
        raise wrong_commit("this is not the full name of a commit")
    return commit.lower()


def wrong_commit(why: str) -> InvalidInput:
    return InvalidInput(
        why, hint="give all 40 hexadecimal digits of a commit", code="source.commit_invalid", field="/commit"
    )
