"""
The short way: files that are in memory are answered where the request is parsed.

Uvicorn starts a task and passes messages for each request, which costs three times what the rest of a small answer
does. Everything that is not a plain GET of a hot file takes uvicorn's way, and gets the same answer there.
"""

from asyncio import TimerHandle
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from headrace.edge.answer import Answer
from headrace.edge.conditions import names_etag
from headrace.edge.edge import Edge

#: Requests with one of these need more than a lookup.
_SLOW = frozenset({b"range", b"if-match", b"if-range", b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
_LOOKED_AT = _SLOW | {b"host", b"accept-encoding", b"if-none-match", b"connection"}


def protocol_for(edge: Edge) -> type[HttpToolsProtocol]:
    """The `http` option of a uvicorn configuration whose application is `edge`."""
    return type("EdgeProtocol", (EdgeProtocol,), {"edge": edge})


class EdgeProtocol(HttpToolsProtocol):
    edge: ClassVar[Edge]
    #: The server's own headers (the date), as it renews them each second, and as bytes.
    _defaults: ClassVar[tuple[object, bytes]] = (None, b"")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        #: From the headers to the end of a request that was answered here.
        self._answered = False
        self._eligible = not self.access_log and self.limit_concurrency is None and not self.root_path
        #: One timer for many requests: making and cancelling one for each costs more than the rest of the answer.
        self._idle_timer: TimerHandle | None = None
        self._idle_since = 0.0

    def on_message_begin(self) -> None:
        # Uvicorn makes the scope here. The short way needs none.
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        if self.url[:1] != b"/" and self._names_another_host():
            self._answered = True
            self.send_400_response("The address and the Host header name different hosts.")
            return
        self._answered = self._eligible and self._answer()
        if not self._answered:
            self._make_scope()
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._answered:
            super().on_message_complete()
            return
        self._answered = False
        self.server_state.total_requests += 1
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def _answer(self) -> bool:
        """Answer if it is that simple, and if no answer that is still being made would be overtaken."""
        parser = self.parser
        if (
            parser.get_method() != b"GET"
            or not parser.should_keep_alive()
            or (self.cycle is not None and not self.cycle.response_complete)  # type: ignore[redundant-expr]  # None at first
            or self.flow.write_paused
            or self.transport.is_closing()
        ):
            return False
        seen: dict[bytes, bytes] = {}
        for name, value in self.headers:
            if name in _LOOKED_AT:
                if name in seen or name in _SLOW:
                    return False
                seen[name] = value
        host = seen.get(b"host")
        # HTTP/1.0 keeps a connection only when it says so, and wants to be told the same.
        if host is None or (b"connection" in seen and parser.get_http_version() != "1.1"):
            return False
        found = self.edge.hot(host, self.url.partition(b"?")[0], seen.get(b"accept-encoding"))
        if found is None:
            return False
        self._write(*found, seen.get(b"if-none-match"))
        return True

    def _write(self, answer: Answer, body: bytes, known: bytes | None) -> None:
        start = answer.head
        if known is not None and names_etag(known, answer.etag):
            start, body = answer.unchanged_head, b""
        made_from, defaults = self._defaults
        if made_from is not self.server_state.default_headers:
            made_from = self.server_state.default_headers
            defaults = b"".join(b"%b: %b\r\n" % pair for pair in made_from) + b"\r\n"
            EdgeProtocol._defaults = made_from, defaults
        # One system call, without copying the body behind the headers.
        self.transport.writelines((start, defaults, body))

    def _make_scope(self) -> None:
        """What uvicorn has done by now on its own way."""
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers += headers

    def _close_if_idle(self) -> None:
        """Uvicorn's own timer watches after answers that it gave; this one, after those that were given here."""
        self._idle_timer = None
        if self.transport.is_closing() or self.timeout_keep_alive_task is not None:
            return
        busy = self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]
        rest = self.timeout_keep_alive if busy else self._idle_since + self.timeout_keep_alive - self.loop.time()
        if rest > 0:
            self._idle_timer = self.loop.call_later(rest, self._close_if_idle)
        else:
            self.transport.close()

    def _names_another_host(self) -> bool:
        """`GET http://a/` with `Host: b`: whoever stands in front may have looked at the other one."""
        _, scheme_ends, rest = self.url.partition(b"://")
        if not scheme_ends:
            return False
        asked = rest.partition(b"/")[0].partition(b"?")[0].lower()
        return [value.lower() for name, value in self.headers if name == b"host"] != [asked]
