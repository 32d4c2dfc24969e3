"""`_redirects` and `_headers`, as several hosts read them: text in, rules out, and what has no effect here."""

import re

from headrace.model.plan import HeaderRule, Ignored, RedirectRule

_STATUSES = frozenset({200, 301, 302, 303, 307, 308, 404})
_MOST_RULES = 2000
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

#: Headers that decide how bytes are framed or who may read an answer; a file of the project can't set them.
_RESERVED = frozenset(
    {"connection", "content-length", "content-encoding", "date", "host", "set-cookie", "transfer-encoding"}
)


def parse_redirects(path: str, text: str) -> tuple[tuple[RedirectRule, ...], tuple[Ignored, ...]]:
    """
    One rule a line: `/from /to [status]`.

    `*` at the end of the source stands for the rest and is `:splat` in the target; `:name` stands for one part.
    Status 200 answers with the target's file and keeps the address. `301!` means 301.
    """
    rules: list[RedirectRule] = []
    ignored: list[Ignored] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#")[0].split() if not line.lstrip().startswith("#") else []
        if not words:
            continue
        rule = _redirect(words)
        if isinstance(rule, str):
            ignored.append(Ignored(source=f"{path}:{number}", setting=line.strip()[:200], why=rule))
        elif len(rules) < _MOST_RULES:
            rules.append(rule)
    return tuple(rules), tuple(ignored)


def _redirect(words: list[str]) -> RedirectRule | str:
    """The rule of a line, or why it has none."""
    if len(words) < 2:
        return "a rule needs a source and a target"
    source, rest = words[0], words[1:]
    if "=" in rest[0] and not rest[0].startswith(("/", "http")):
        return "conditions on the query are not supported"
    target, *options = rest
    status = 301
    if options and re.fullmatch(r"\d{3}!?", options[0]):
        status = int(options[0].rstrip("!"))
        options = options[1:]
    if options:
        return f"conditions ({' '.join(options)[:80]}) are not supported"
    if not source.startswith("/"):
        return "the source must be a path that starts with /"
    if not target.startswith("/") and not re.match(r"https?://", target):
        return "the target must be a path or an http address"
    if "*" in source[:-1]:
        return "`*` may stand only at the end of the source"
    if status not in _STATUSES:
        return f"status {status} is not one of {', '.join(map(str, sorted(_STATUSES)))}"
    if status in (200, 404) and not target.startswith("/"):
        return "proxying to another host is not supported"
    return RedirectRule(path=source, to=target, status=status)


def parse_headers(path: str, text: str) -> tuple[tuple[HeaderRule, ...], tuple[Ignored, ...]]:
    """A path on a line of its own, and below it, indented, `Name: value` lines. Equal names are joined by a comma."""
    found: dict[str, dict[str, str]] = {}
    ignored: list[Ignored] = []
    here: str | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if not line[0].isspace():
            here = bare if bare.startswith("/") else None
            if here is None:
                ignored.append(
                    Ignored(source=f"{path}:{number}", setting=bare[:200], why="not a path that starts with /")
                )
            continue
        name, colon, value = bare.partition(":")
        why = _not_a_header(name.strip(), colon, value)
        if here is None or why:
            ignored.append(Ignored(source=f"{path}:{number}", setting=bare[:200], why=why or "no path above it"))
            continue
        headers = found.setdefault(here, {})
        same = next((given for given in headers if given.lower() == name.strip().lower()), name.strip())
        headers[same] = f"{headers[same]}, {value.strip()}" if same in headers else value.strip()
    rules = [HeaderRule(path=where, headers=tuple(headers.items())) for where, headers in found.items()]
    return tuple(rules[:_MOST_RULES]), tuple(ignored)


def _not_a_header(name: str, colon: str, value: str) -> str | None:
    if not colon or not _NAME.fullmatch(name):
        return "not a line of the form Name: value"
    if any(ord(character) < 32 and character != "\t" for character in value):
        return "a header's value must not hold control characters"
    if name.lower() in _RESERVED:
        return "this header is the server's own"
    return None
