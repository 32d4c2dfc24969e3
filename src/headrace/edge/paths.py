"""Paths of requests: decoded once, and refused when they could mean something else to somebody else."""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

_LONGEST = 8192
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
#: What is left of `%252e` and its like after one decoding.
_STILL_ENCODED = re.compile(r"%(?:2e|2f|5c|00|25)", re.IGNORECASE)


class BadPath(Exception):
    """No site answers such a path."""


class RequestPath(NamedTuple):
    #: Decoded, without the leading slash.
    text: str
    #: False for a path that only a file of exactly this name may answer: no rule and no fallback.
    plain: bool


def decode_path(raw: bytes) -> RequestPath:
    """Raises BadPath for what tries to climb, and for bytes that are no text."""
    if not raw.startswith(b"/") or len(raw) > _LONGEST or _BROKEN_ESCAPE.search(raw):
        raise BadPath
    try:
        text = unquote_to_bytes(raw[1:]).decode()
    except UnicodeDecodeError as exc:
        raise BadPath from exc
    if _CONTROL.search(text):
        raise BadPath
    for segment in text.split("/"):
        # Some servers cut `;parameters` off before they resolve dots.
        if segment.partition(";")[0] in (".", ".."):
            raise BadPath
    plain = "//" not in text and not text.startswith("/") and _STILL_ENCODED.search(text) is None
    return RequestPath(text, plain)
