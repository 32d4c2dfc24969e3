"""The forms in which a packed blob lies in its row: as it is, compressed, or as the difference to a blob it resembles."""

import sys
from typing import NamedTuple

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: Forms of a row. They are stored: never change the number of one.
RAW, ZSTD, ELSEWHERE = 0, 1, 2

#: Of a blob that others are differences to, nothing more than this is held in memory at a time.
MOST_COMPARED = 4 * 1024 * 1024
#: Every frame begins with these bytes, so they need not be stored.
_MAGIC = b"\x28\xb5\x2f\xfd"
_LEVEL = 3
#: Shorter ones make no dictionary.
_LEAST_COMPARED = 64
#: From here on, the tables of the level forget the beginning of what is compared with.
_LONG = 256 * 1024
#: A difference costs more to read than a blob of its own, so it must be much smaller.
_WORTH = 0.6
_ROW = 24


class Coded(NamedTuple):
    form: int
    data: bytes


def coded(data: bytes) -> Coded:
    frame = zstd.compress(data, _LEVEL).removeprefix(_MAGIC) if data else data
    return Coded(ZSTD, frame) if len(frame) < len(data) else Coded(RAW, data)


def difference(data: bytes, base: bytes, *, than: int) -> Coded | None:
    """`data` as what differs from `base`; None unless that is much smaller than `than` bytes."""
    if len(base) < _LEAST_COMPARED:
        return None
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: _LEVEL,
        zstd.CompressionParameter.window_log: max((len(base) + len(data)).bit_length(), 10),
        zstd.CompressionParameter.enable_long_distance_matching: int(len(base) > _LONG),
    }
    prefix = zstd.ZstdDict(base, is_raw=True).as_prefix
    frame = zstd.compress(data, options=options, zstd_dict=prefix).removeprefix(_MAGIC)
    return Coded(ZSTD, frame) if len(frame) + _ROW < than * _WORTH else None


def decoded(coded: Coded, size: int, base: bytes | None = None) -> bytes | None:
    """The blob; None when the bytes are not what was written. Makes no more than `size` bytes and one."""
    if coded.form == RAW:
        return coded.data
    prefix = zstd.ZstdDict(base, is_raw=True).as_prefix if base is not None else None
    try:
        return zstd.ZstdDecompressor(zstd_dict=prefix).decompress(_MAGIC + coded.data, size + 1)
    except (zstd.ZstdError, EOFError):
        return None
