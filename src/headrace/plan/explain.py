"""A cache decision in the words that people read."""

from headrace.model.plan import CacheKey
from headrace.model.trust import Trust

_THING = {"dependencies": "dependencies", "result": "result", "tree": "source tree"}


def explain(
    cache: str,
    key: CacheKey,
    *,
    hit: bool,
    differs: str | None = None,
    seconds_saved: float | None = None,
    made_by: str | None = None,
    begun_with: str | None = None,
    trust: Trust = Trust.TRUSTED,
) -> str:
    """One line: `Cache hit! …` or `Cache miss for key …: …`."""
    short = short_key(key)
    thing = _THING.get(cache, cache)
    untrusted = trust is Trust.UNTRUSTED
    if hit:
        saved = f", {seconds_saved:.1f} s saved" if seconds_saved else ""
        by = f", made by {made_by}" if made_by else ""
        whose = ", an untrusted build" if untrusted else ""
        return f"Cache hit! {thing} of key {short} restored{saved}{by}{whose}"
    why = f"{differs} differs from the last build" if differs else "not built with these inputs before"
    near = f"; beginning with the closest {thing}, made by {begun_with}" if begun_with else ""
    apart = "; what this untrusted build makes is kept apart" if untrusted else ""
    return f"Cache miss for key {short}: {why}{near}{apart}"


def short_key(key: CacheKey) -> str:
    return key.digest.removeprefix("sha256:")[:12]
