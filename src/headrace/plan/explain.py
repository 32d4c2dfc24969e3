"""A cache decision in the words that people read."""

from headrace.model.plan import CacheKey

_THING = {"dependencies": "dependencies", "result": "result", "tree": "source tree"}


def explain(
    cache: str,
    key: CacheKey,
    *,
    hit: bool,
    differs: str | None = None,
    seconds_saved: float | None = None,
    made_by: str | None = None,
) -> str:
    """One line: `Cache hit! …` or `Cache miss for key …: …`, with what the key was made from."""
    short = short_key(key)
    thing = _THING.get(cache, cache)
    if hit:
        saved = f", {seconds_saved:.1f} s saved" if seconds_saved else ""
        by = f", made by {made_by}" if made_by else ""
        return f"Cache hit! {thing} of key {short} restored{saved}{by}"
    why = f"{differs} differs from the last build" if differs else "not built with these inputs before"
    return f"Cache miss for key {short}: {why}"


def key_words(key: CacheKey) -> str:
    """`Cache key from package-lock.json: 0123456789ab`."""
    return f"Cache key from {_made_from(key)}: {short_key(key)}"


def short_key(key: CacheKey) -> str:
    return key.digest.removeprefix("sha256:")[:12]


def _made_from(key: CacheKey) -> str:
    """The input that people would name: the lock file, else the manifest, else the first one."""
    files = [part.name.removeprefix("file ") for part in key.inputs if part.name.startswith("file ")]
    locks = [name for name in files if name.endswith(("package-lock.json", "pnpm-lock.yaml", "npm-shrinkwrap.json"))]
    if locks or files:
        return (locks or files)[0]
    return key.inputs[0].name
