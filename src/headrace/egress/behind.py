"""A connection to the registry behind a front: HTTP over TLS, one question after another. Standard library only."""

import http.client
import ssl
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

from headrace.egress.front import Asked, Connect, Counter

_PIECE = 256 * 1024
#: Of a question only this is told to the registry.
_QUESTION = ("accept", "accept-encoding", "user-agent", "if-none-match", "if-modified-since")


@cache
def _context(ca_file: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


class Behind:
    """One that nobody else uses, over all its questions."""

    counter: Counter

    def __init__(self, registry: str, ca_file: str | None, connect: Connect) -> None:
        self._registry = registry
        self._tls = _context(ca_file)
        self._connect = connect
        self._http: http.client.HTTPConnection | None = None
        self.reusable = False

    def ask(self, asked: Asked) -> http.client.HTTPResponse:
        if self._http is not None:
            # The registry may have hung up while nobody looked.
            with suppress(OSError, http.client.HTTPException):
                return self._asked(self._http, asked)
            self.close()
        raw, self.counter = self._connect()
        self._http = http.client.HTTPConnection(self._registry)
        self._http.sock = self._tls.wrap_socket(raw, server_hostname=self._registry)
        try:
            return self._asked(self._http, asked)
        except http.client.HTTPException as exc:
            raise OSError(f"its answer can't be read: {type(exc).__name__}") from exc

    def chunks(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        """The whole answer. Raises OSError when it ends early."""
        while True:
            try:
                chunk = response.read(_PIECE)
            except http.client.HTTPException as exc:
                raise OSError("its answer ended early") from exc
            if not chunk:
                break
            self.counter.count(down=len(chunk))
            yield chunk
        # A length that was not met is no error to the reader of pieces.
        if response.length:
            raise OSError("its answer ended early")
        self.reusable = not response.will_close

    def close(self) -> None:
        self.reusable = False
        if self._http is not None:
            self._http.close()
            self._http = None

    def _asked(self, http: http.client.HTTPConnection, asked: Asked) -> http.client.HTTPResponse:
        self.reusable = False
        http.putrequest(asked.method, asked.path, skip_accept_encoding=True)
        told = {name: value for name in _QUESTION if (value := asked.headers.get(name)) is not None}
        for name, value in told.items():
            http.putheader(name, value)
        http.endheaders()
        self.counter.count(up=len(asked.path) + sum(len(name) + len(value) for name, value in told.items()))
        return http.getresponse()
