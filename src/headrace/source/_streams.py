"""Bytes of an archive, unpacked in bounded pieces. A stream that ends too early, or too late, is damaged."""

import sys
import zlib
from typing import IO, Protocol

from headrace.source._intake import check_ratio, corrupt, too_large

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE = 1 << 16


class Stream(Protocol):
    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, or fewer at the end. Raises InvalidInput or TooLarge."""
        ...


class Plain:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        return self._file.read(size)


class Unpacked:
    """A gzip or zstd stream of one member. Never more than a piece beyond what was asked for is unpacked."""

    def __init__(self, file: IO[bytes], kind: str, *, most: int) -> None:
        self._file = file
        self._step = Inflate(zlib.MAX_WBITS | 16) if kind == "gzip" else _Zstd()
        self._most = most
        self._ready = bytearray()
        self._packed = self._size = 0
        self._ended = False

    def read(self, size: int) -> bytes:
        while len(self._ready) < size and not self._ended:
            self._fill()
        taken = bytes(self._ready[:size])
        del self._ready[:size]
        return taken

    def _fill(self) -> None:
        chunk = self._file.read(PIECE) if self._step.hungry else b""
        if self._step.hungry and not chunk:
            raise corrupt("it ends in the middle")
        self._packed += len(chunk)
        piece = self._step(chunk)
        self._ready += piece
        self._size += len(piece)
        if self._size > self._most:
            raise too_large(f"the archive unpacks to more than {self._most} bytes")
        check_ratio(self._size, self._packed)
        if self._step.ended:
            self._ended = True
            if self._step.rest or self._file.read(1):
                raise corrupt("something follows its end")


class Inflate:
    """A zlib decompressor that gives at most a piece each time, whatever goes in."""

    def __init__(self, window: int) -> None:
        self._inner = zlib.decompressobj(window)
        self.hungry = True

    def __call__(self, chunk: bytes) -> bytes:
        try:
            out = self._inner.decompress(self._inner.unconsumed_tail + chunk, PIECE)
        except zlib.error as exc:
            raise corrupt("its compressed data makes no sense") from exc
        # A full piece can leave output inside even when all input is taken.
        self.hungry = not self._inner.unconsumed_tail and len(out) < PIECE
        return out

    @property
    def ended(self) -> bool:
        return self._inner.eof

    @property
    def rest(self) -> bytes:
        """What came behind the end."""
        return self._inner.unused_data


class _Zstd:
    def __init__(self) -> None:
        self._inner = zstd.ZstdDecompressor()

    def __call__(self, chunk: bytes) -> bytes:
        try:
            return self._inner.decompress(chunk, PIECE)
        except zstd.ZstdError as exc:
            raise corrupt("its compressed data makes no sense") from exc

    @property
    def hungry(self) -> bool:
        return self._inner.needs_input

    @property
    def ended(self) -> bool:
        return self._inner.eof

    @property
    def rest(self) -> bytes:
        return self._inner.unused_data
