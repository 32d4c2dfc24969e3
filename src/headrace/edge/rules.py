"""Redirect and header rules of a site, made ready for matching. No rule is a regular expression: matching takes linear time."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote

from headrace.model.plan import HeaderRule, RedirectRule
from headrace.site.headers_file import header_problem

_NAME = re.compile(r":([A-Za-z_][A-Za-z0-9_]*)")
#: Safe in a path and in a query; line ends and spaces are not among them.
_SAFE = "/-._~!$&'()*+,;=:@"
_SAFE_IN_LOCATION = _SAFE + "?#[]%"


@dataclass(frozen=True)
class Matched:
    status: int
    #: For 3xx the value of `Location`; otherwise the decoded path of the file that answers, without its leading slash.
    to: str


class _Pattern:
    """`/a/:name/*`: equal segments, named segments, and a star for all that follows."""

    def __init__(self, path: str) -> None:
        parts = _segments(unquote(path))
        self.open_ended = bool(parts) and parts[-1] == "*"
        self.parts = parts[:-1] if self.open_ended else parts
        self.fixed = not self.open_ended and not any(part.startswith(":") for part in parts)

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """The named parts, or None. `splat` is what the star stands for."""
        if len(segments) < len(self.parts) or (len(segments) > len(self.parts) and not self.open_ended):
            return None
        names: dict[str, str] = {}
        for part, segment in zip(self.parts, segments, strict=False):
            if part.startswith(":"):
                names[part[1:]] = segment
            elif part != segment:
                return None
        if self.open_ended:
            names["splat"] = "/".join(segments[len(self.parts) :])
        return names


class Redirects:
    """The first rule that matches counts."""

    def __init__(self, rules: Sequence[RedirectRule], *, force: bool) -> None:
        self._fixed: dict[tuple[str, ...], list[tuple[int, RedirectRule]]] = defaultdict(list)
        self._patterns: list[tuple[int, _Pattern, RedirectRule]] = []
        for number, rule in enumerate(rule for rule in rules if rule.force is force):
            pattern = _Pattern(rule.path)
            if pattern.fixed:
                self._fixed[tuple(pattern.parts)].append((number, rule))
            else:
                self._patterns.append((number, pattern, rule))
        self.look_at_query = any(rule.query for rule in rules if rule.force is force)
        self.empty = not self._fixed and not self._patterns

    def match(self, path: str, query: str) -> Matched | None:
        """What `path` (decoded, without its leading slash) answers by rule."""
        if self.empty:
            return None
        segments = _segments(path)
        best: tuple[int, RedirectRule, dict[str, str]] | None = None
        for number, rule in self._fixed.get(tuple(segments), ()):
            if (names := _query_names(rule, query)) is not None:
                best = number, rule, names
                break
        for number, pattern, rule in self._patterns:
            if best is not None and number > best[0]:
                break
            found = pattern.match(segments)
            if found is not None and (names := _query_names(rule, query)) is not None:
                best = number, rule, {**found, **names}
                break
        return _answer(best[1], best[2], query) if best else None


class Headers:
    """Later rules win over earlier ones."""

    def __init__(self, rules: Sequence[HeaderRule]) -> None:
        self._rules = [
            (
                _Pattern(rule.path),
                {
                    name.lower().encode(): value.encode("latin-1")
                    for name, value in rule.headers
                    if header_problem(name, value) is None
                },
            )
            for rule in rules
        ]

    def of(self, path: str) -> tuple[tuple[bytes, bytes], ...]:
        if not self._rules:
            return ()
        segments = _segments(path)
        headers: dict[bytes, bytes] = {}
        for pattern, own in self._rules:
            if pattern.match(segments) is not None:
                headers.update(own)
        return tuple(headers.items())


def with_query(location: str, query: str) -> str:
    """The visitor's parameters go along, unless the rule has its own."""
    return f"{location}?{query}" if query and "?" not in location and "#" not in location else location


def _answer(rule: RedirectRule, names: Mapping[str, str], query: str) -> Matched:
    if rule.status in (200, 404):
        return Matched(rule.status, unquote(_fill(rule.to, names, encode=False)).partition("?")[0].strip("/"))
    location = quote(_fill(rule.to, names, encode=True), safe=_SAFE_IN_LOCATION)
    return Matched(rule.status, with_query(location, query))


def _fill(to: str, names: Mapping[str, str], *, encode: bool) -> str:
    def value(found: re.Match[str]) -> str:
        text = names.get(found[1])
        if text is None:
            return found[0]
        return quote(text, safe=_SAFE) if encode else text.replace("%", "%25")

    return _NAME.sub(value, to)


def _query_names(rule: RedirectRule, query: str) -> dict[str, str] | None:
    if not rule.query:
        return {}
    given = parse_qs(query, keep_blank_values=True)
    names = {}
    for name, value in rule.query:
        if name not in given:
            return None
        if value.startswith(":"):
            names[value[1:]] = given[name][0]
        elif value not in given[name]:
            return None
    return names


def _segments(path: str) -> list[str]:
    """Without leading and trailing slash: a rule counts for both forms of an address."""
    path = path.strip("/")
    return path.split("/") if path else []
