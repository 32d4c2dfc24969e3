"""
The short way: files that are in memory are answered where the request is parsed.

Uvicorn starts a task and passes messages for each request, which costs three times what the rest of a small answer
does. Everything that is not a plain GET of a hot file takes uvicorn's way, and gets the same answer there.
"""

from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from headrace.edge.answer import Answer
from headrace.edge.conditions import names_etag
from headrace.edge.edge import Edge

#: Requests with one of these need more than a lookup.
_SLOW = frozenset({b"range", b"if-match", b"if-range", b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
#: Larger bodies are handed to the transport on their own instead of being copied behind the headers.
_COPY_AT_MOST = 16 * 1024


def protocol_for(edge: Edge) -> type[HttpToolsProtocol]:
    """The `http` option of a uvicorn configuration whose application is `edge`."""
    return type("EdgeProtocol", (EdgeProtocol,), {"edge": edge})


class EdgeProtocol(HttpToolsProtocol):
    edge: ClassVar[Edge]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        #: From the headers to the end of a request that was answered here.
        self._answered = False
        self._eligible = not self.access_log and self.limit_concurrency is None and not self.root_path

    def on_headers_complete(self) -> None:
        if self._names_another_host():
            self._answered = True
            self.send_400_response("The address and the Host header name different hosts.")
            return
        self._answered = self._eligible and self._is_idle() and self._answer()
        if not self._answered:
            # An answer that was given here for an earlier request of the same packet has armed it.
            self._unset_keepalive_if_required()
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self._answered:
            self._answered = False
            self.on_response_complete()
        else:
            super().on_message_complete()

    def _is_idle(self) -> bool:
        """Whether an answer may be written now: none that is still being made on this connection is overtaken."""
        return (
            (self.cycle is None or self.cycle.response_complete)  # type: ignore[redundant-expr]  # None at first
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

    def _answer(self) -> bool:
        """Answer if it is that simple."""
        parser = self.parser
        if parser.get_method() != b"GET" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return False
        host = codings = known = None
        for name, value in self.headers:
            if name == b"host":
                if host is not None:
                    return False
                host = value
            elif name == b"accept-encoding":
                if codings is not None:
                    return False
                codings = value
            elif name == b"if-none-match":
                if known is not None:
                    return False
                known = value
            elif name in _SLOW:
                return False
        if host is None:
            return False
        found = self.edge.hot(host, self.url.partition(b"?")[0], codings)
        if found is not None:
            self._write(*found, known)
        return found is not None

    def _write(self, answer: Answer, body: bytes, known: bytes | None) -> None:
        start = answer.head
        if known is not None and names_etag(known, answer.etag):
            start, body = answer.unchanged_head, b""
        date = b"".join(b"%b: %b\r\n" % pair for pair in self.server_state.default_headers)
        if len(body) <= _COPY_AT_MOST:
            self.transport.write(b"".join((start, date, b"\r\n", body)))
        else:
            self.transport.writelines((b"".join((start, date, b"\r\n")), body))

    def _names_another_host(self) -> bool:
        """`GET http://a/` with `Host: b`: whoever stands in front may have looked at the other one."""
        if self.url.startswith(b"/") or b"://" not in self.url:
            return False
        asked = self.url.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]
        hosts = [value for name, value in self.headers if name == b"host"]
        return [host.lower() for host in hosts] != [asked.lower()]
