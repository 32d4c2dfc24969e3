"""What the edge looks at in a request."""

from collections.abc import MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]

_LOOKED_AT = frozenset({b"host", b"accept", b"accept-encoding", b"if-match", b"if-none-match", b"range", b"if-range"})


class Request:
    __slots__ = (
        "accept",
        "accept_encoding",
        "host",
        "if_match",
        "if_none_match",
        "if_range",
        "method",
        "query",
        "range",
        "raw_path",
    )

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope.get("method", "GET")
        self.raw_path: bytes = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
        self.query: str = scope["query_string"].decode("latin-1")
        headers: dict[bytes, bytes] = {}
        hosts = 0
        for name, value in scope["headers"]:
            if name in _LOOKED_AT:
                hosts += name == b"host"
                # Lists may come in several lines.
                headers[name] = headers[name] + b", " + value if name in headers else value
        #: None when there is none, or more than one.
        self.host = headers.get(b"host") if hosts == 1 else None
        self.accept = headers.get(b"accept")
        self.accept_encoding = headers.get(b"accept-encoding")
        self.if_match = headers.get(b"if-match")
        self.if_none_match = headers.get(b"if-none-match")
        self.range = headers.get(b"range")
        self.if_range = headers.get(b"if-range")

    @property
    def target(self) -> str:
        """Path and query, as they were sent."""
        return self.raw_path.decode("latin-1") + (f"?{self.query}" if self.query else "")

    @property
    def simple(self) -> bool:
        """A plain GET: its answer depends on nothing but host, path and codings."""
        return self.method == "GET" and self.range is None
