"""Content codings, made when an artifact is published, never when it is asked for."""

import gzip
from collections.abc import Callable
from importlib.metadata import version

import brotli  # type: ignore[import-untyped]
from backports import zstd

#: In the order in which equally welcome ones are preferred: what comes out smallest first.
CODINGS = ("br", "zstd", "gzip")

SMALLEST = 1024
#: Larger files would hold a build up for seconds; they are served as they are.
LARGEST = 32 * 1024 * 1024
_WORTH = 0.95

#: Levels at which a further byte saved costs more than it brings while somebody waits for the build.
_BROTLI_QUALITY = 5
_ZSTD_LEVEL = 6
_GZIP_LEVEL = 6

_CODERS: dict[str, Callable[[bytes], bytes]] = {
    "br": lambda data: bytes(brotli.compress(data, quality=_BROTLI_QUALITY)),
    "zstd": lambda data: zstd.compress(data, _ZSTD_LEVEL),
    # No time and no name in the header: equal bytes must give equal bytes.
    "gzip": lambda data: gzip.compress(data, _GZIP_LEVEL, mtime=0),
}

#: Changes whenever the coded bytes may: part of what remembered codings are kept under.
CODERS_VERSION = (
    f"br{version('brotli')}q{_BROTLI_QUALITY},zstd{'.'.join(map(str, zstd.zstd_version_info))}l{_ZSTD_LEVEL}"
    f",gzip{_GZIP_LEVEL}"
)


def is_worth_coding(size: int) -> bool:
    return SMALLEST <= size <= LARGEST


def coded(data: bytes, coding: str) -> bytes | None:
    """`data` in `coding`; None when that saves too little. Lets other threads run."""
    result = _CODERS[coding](data)
    return result if len(result) <= len(data) * _WORTH else None
