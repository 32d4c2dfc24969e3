"""
The host that a TLS client asks for, read from the first thing that it sends. Nothing is decrypted.

A tunnel was allowed to one host. Who then asks for another one behind the same address reaches what nobody allowed.
Standard library only: the proxy uses it.
"""

_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _HOST_NAME = 22, 1, 0, 0
#: Far above what any client sends.
MOST_BYTES = 32 * 1024


class Incomplete(Exception):
    """The rest of it has not come yet."""


def looks_like_tls(data: bytes) -> bool:
    return data[:1] == bytes((_HANDSHAKE,))


def server_name(data: bytes) -> str | None:
    """
    The name in the ClientHello that `data` begins with; None when it holds none. Raises Incomplete, and ValueError for what is
    no ClientHello.
    """
    hello = _Reader(_hello(data))
    hello.skip(2 + 32)  # version and random
    hello.vector(1)  # session
    hello.vector(2)  # ciphers
    hello.vector(1)  # compressions
    if hello.empty:
        return None
    extensions = _Reader(hello.vector(2))
    while not extensions.empty:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind == _SERVER_NAME:
            return _host_name(content)
    return None


def _hello(data: bytes) -> bytes:
    """The message, put together from as many records as it came in."""
    message = b""
    position = 0
    while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4]):
        head = data[position : position + 5]
        if head and (head[0] != _HANDSHAKE or head[1:2] not in (b"", b"\x03")):
            raise ValueError("no TLS handshake")
        length = int.from_bytes(head[3:5])
        piece = data[position + 5 : position + 5 + length]
        if len(head) < 5 or len(piece) < length:
            if len(data) >= MOST_BYTES:
                raise ValueError("a handshake without an end")
            raise Incomplete
        if not length:
            raise ValueError("an empty record")
        message += piece
        position += 5 + length
        if message[0] != _CLIENT_HELLO:
            raise ValueError("no ClientHello")
    return message[4 : 4 + int.from_bytes(message[1:4])]


def _host_name(content: bytes) -> str:
    names = _Reader(_Reader(content).vector(2))
    if names.number(1) != _HOST_NAME:
        raise ValueError("a server name of another kind")
    name = names.vector(2)
    if not names.empty:
        raise ValueError("several server names")
    return name.decode("ascii").lower().removesuffix(".")


class _Reader:
    """Takes a message apart. Raises ValueError behind its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def empty(self) -> bool:
        return self._position == len(self._data)

    def skip(self, length: int) -> bytes:
        piece = self._data[self._position : self._position + length]
        if len(piece) < length:
            raise ValueError("it ends too early")
        self._position += length
        return piece

    def number(self, length: int) -> int:
        return int.from_bytes(self.skip(length))

    def vector(self, length: int) -> bytes:
        """What stands behind its own length of `length` bytes."""
        return self.skip(self.number(length))
