"""What a client takes: content codings in its order, and whether it wants a page."""

import re
from functools import lru_cache

from headrace.site.codings import CODINGS

IDENTITY = "identity"
#: Longer headers are an attack, not a browser.
_LONGEST = 1024
_Q = re.compile(rb"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


@lru_cache(maxsize=512)
def codings_for(header: bytes | None) -> tuple[str, ...]:
    """
    Names of acceptable codings, the most welcome first; among equals ours come before `identity`. Empty when even
    `identity` is refused and none of ours is named.
    """
    if header is None or len(header) > _LONGEST:
        return (IDENTITY,)
    wishes = _weights(header.lower().replace(b"x-gzip", b"gzip"))
    rest = wishes.get(b"*", 0.0)
    weights = {coding: wishes.get(coding.encode(), rest) for coding in CODINGS}
    # Not naming it leaves it acceptable, as the last resort.
    weights[IDENTITY] = wishes.get(b"identity", 0.0 if b"*" in wishes and rest == 0 else 0.0001)
    # Sorting is stable, so equals stay in our order.
    return tuple(sorted((name for name in weights if weights[name] > 0), key=lambda name: -weights[name]))


@lru_cache(maxsize=512)
def wants_page(header: bytes | None) -> bool:
    """Whether a client asks for HTML by name, as browsers do when somebody goes somewhere."""
    return header is not None and _weights(header.lower()[:_LONGEST]).get(b"text/html", 0) > 0


@lru_cache(maxsize=512)
def takes_page(header: bytes | None) -> bool:
    """Whether HTML is acceptable to a client that may not have asked for it by name."""
    if header is None:
        return True
    wishes = _weights(header.lower()[:_LONGEST])
    return any(wishes.get(name, 0) > 0 for name in (b"text/html", b"text/*", b"*/*"))


def _weights(header: bytes) -> dict[bytes, float]:
    weights: dict[bytes, float] = {}
    for item in header.split(b","):
        name, *parameters = (part.strip() for part in item.split(b";"))
        q = next((part[2:] for part in parameters if part.startswith(b"q=")), b"1")
        if name:
            weights[name] = float(q) if _Q.fullmatch(q) else 0.0
    return weights
