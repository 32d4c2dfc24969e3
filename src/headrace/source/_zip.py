"""
Reads zip files. The list at the end must describe every byte of the file: entries one behind the other from the first byte on,
then the list, then the end. What two readers could understand in two ways is refused.
"""

import itertools
import os
import stat
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from headrace.source._intake import (
    ArchiveLimits,
    check_ratio,
    corrupt,
    invalid,
    link_forbidden,
    too_large,
    too_many,
    type_forbidden,
    unsupported,
)
from headrace.source._streams import PIECE, Inflate

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
END_MARK = b"PK\5\6"
_UNIX_SYSTEMS = {3, 19}
_MORE = 0xFFFFFFFF
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_DESCRIPTOR_FOLLOWS = 0x8
_UTF8 = 0x800


@dataclass(frozen=True)
class ZipMember:
    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    mode: int

    @property
    def is_directory(self) -> bool:
        return self.name.endswith("/")

    @property
    def executable(self) -> bool:
        return bool(self.mode & 0o111)


@dataclass(frozen=True)
class _List:
    offset: int
    size: int
    entries: int


def list_zip(file: IO[bytes], limits: ArchiveLimits) -> list[ZipMember]:
    """All members, in the order of their bytes. Raises before a single one is unpacked when together they break a limit."""
    length = file.seek(0, os.SEEK_END)
    found = _find_list(file, length)
    if found.entries > limits.files:
        raise too_many(limits)
    file.seek(found.offset)
    members = sorted(_parse_list(file.read(found.size), found.entries), key=lambda member: member.offset)
    total = sum(member.size for member in members)
    if total > limits.bytes:
        raise too_large(f"the archive unpacks to more than {limits.bytes} bytes")
    check_ratio(total, length)
    _check_tiled(file, members, found.offset)
    return members


def read_member(file: IO[bytes], member: ZipMember) -> Iterator[bytes]:
    """The bytes of a member, checked against its size and its sum at the end."""
    file.seek(_data_start(file, member))
    crc = size = 0
    for piece in _stored(file, member) if member.method == 0 else _inflated(file, member):
        size += len(piece)
        if size > member.size:
            raise corrupt("a member is longer than it says")
        crc = zlib.crc32(piece, crc)
        yield piece
    if size != member.size or crc != member.crc:
        raise corrupt("a member does not have the sum that it says")


def _stored(file: IO[bytes], member: ZipMember) -> Iterator[bytes]:
    left = member.packed
    while left:
        piece = file.read(min(left, PIECE))
        if not piece:
            raise corrupt("it ends in the middle")
        left -= len(piece)
        yield piece


def _inflated(file: IO[bytes], member: ZipMember) -> Iterator[bytes]:
    step, left = Inflate(-zlib.MAX_WBITS), member.packed
    while not step.ended:
        chunk = file.read(min(left, PIECE)) if step.hungry else b""
        if step.hungry and not chunk:
            raise corrupt("a member ends in the middle")
        left -= len(chunk)
        yield step(chunk)
    if left or step.rest:
        raise corrupt("something follows a member's end")


def _find_list(file: IO[bytes], length: int) -> _List:
    tail_at = max(0, length - _END.size - 0xFFFF)
    file.seek(tail_at)
    tail = file.read()
    ends = [
        at
        for at in _positions(tail, END_MARK)
        if len(tail) - at >= _END.size
        and at + _END.size + int.from_bytes(tail[at + 20 : at + 22], "little") == len(tail)
    ]
    if len(ends) != 1:
        raise corrupt("it has no end, or two")
    at = ends[0]
    _, disk, list_disk, here, entries, size, offset, _ = _END.unpack_from(tail, at)
    end = tail_at + at
    if 0xFFFF in (here, entries) or _MORE in (size, offset):
        disk, list_disk, here, entries, size, offset, end = _find_end_64(file, end)
    if disk or list_disk or here != entries:
        raise unsupported("the archive has several volumes")
    if offset + size != end or entries * _CENTRAL.size > size:
        raise corrupt("its list is not where its end says")
    return _List(offset=offset, size=size, entries=entries)


def _find_end_64(file: IO[bytes], end: int) -> tuple[int, int, int, int, int, int, int]:
    at = end - _LOCATOR_64.size
    if at < 0:
        raise corrupt("its list is not where its end says")
    file.seek(at)
    mark, _, place, disks = _LOCATOR_64.unpack(file.read(_LOCATOR_64.size))
    if mark != b"PK\6\7" or disks > 1 or place + _END_64.size != at:
        raise corrupt("its list is not where its end says")
    file.seek(place)
    mark, record, _, _, disk, list_disk, here, entries, size, offset = _END_64.unpack(file.read(_END_64.size))
    if mark != b"PK\6\6" or record != _END_64.size - 12:
        raise corrupt("its list is not where its end says")
    return disk, list_disk, here, entries, size, offset, place


def _positions(data: bytes, mark: bytes) -> Iterator[int]:
    at = data.find(mark)
    while at >= 0:
        yield at
        at = data.find(mark, at + 1)


def _parse_list(data: bytes, entries: int) -> Iterator[ZipMember]:
    at = 0
    for _ in range(entries):
        if len(data) - at < _CENTRAL.size:
            raise corrupt("its list is cut off")
        fields = _CENTRAL.unpack_from(data, at)
        mark, made_by, _, flags, method, _, _, crc, packed, size, name_size, extra_size, comment_size, *rest = fields
        disk, _, attributes, offset = rest
        at += _CENTRAL.size
        name, extra = data[at : at + name_size], data[at + name_size : at + name_size + extra_size]
        at += name_size + extra_size + comment_size
        if mark != b"PK\1\2" or at > len(data) or disk:
            raise corrupt("its list makes no sense")
        size, packed, offset = _wide(extra, size, packed, offset)
        text = _name(name, flags, extra)
        mode = attributes >> 16 if made_by >> 8 in _UNIX_SYSTEMS else 0
        yield _member(
            text, name, flags=flags, method=method, crc=crc, packed=packed, size=size, offset=offset, mode=mode
        )
    if at != len(data):
        raise corrupt("its list has more than its entries")


def _member(
    name: str, raw: bytes, *, flags: int, method: int, crc: int, packed: int, size: int, offset: int, mode: int
) -> ZipMember:
    if flags & _ENCRYPTED:
        raise unsupported("the archive is encrypted")
    if method not in (0, 8):
        raise unsupported(f"the archive is compressed with method {method}")
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFLNK:
        raise link_forbidden(name)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (kind == stat.S_IFDIR) > name.endswith("/"):
        raise type_forbidden(name, "something that is neither a file nor a directory")
    if mode & 0o6000 and not name.endswith("/"):
        raise type_forbidden(name, "a file that would run as its owner")
    if name.endswith("/") and size:
        raise corrupt("a directory has bytes")
    return ZipMember(name, raw, flags, method, crc, packed, size, offset, mode)


def _name(raw: bytes, flags: int, extra: bytes) -> str:
    better = _field(extra, 0x7075)[5:]
    try:
        # Many archivers write UTF-8 and don't say so.
        name = raw.decode()
    except UnicodeDecodeError:
        if flags & _UTF8:
            raise invalid(f"a name is not UTF-8: {raw[:100]!r}") from None
        # In the code page of some old system; the field then says what it means.
        return better.decode(errors="replace") or raw.decode("cp437")
    if better and better != raw:
        raise invalid(f"a member has two names: {raw[:100]!r} and {better[:100]!r}")
    return name


def _field(extra: bytes, wanted: int) -> bytes:
    """The data of an extra field, of several with one number that of the last."""
    data = b""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == wanted:
            data = extra[4 : 4 + length]
        extra = extra[4 + length :]
    return data


def _wide(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Sizes beyond 32 bits stand in an extra field, those only that don't fit, in this order."""
    wide = _field(extra, 1)
    values = [size, packed, offset]
    for index, value in enumerate(values):
        if value == _MORE:
            if len(wide) < 8:
                raise corrupt("a size is missing")
            values[index], wide = int.from_bytes(wide[:8], "little"), wide[8:]
    return values[0], values[1], values[2]


def _check_tiled(file: IO[bytes], members: Sequence[ZipMember], end: int) -> None:
    """Every byte before the list belongs to one entry, and each entry says in both places what it is."""
    if (members[0].offset if members else end) != 0:
        raise corrupt("something stands before its beginning")
    for member, following in itertools.zip_longest(members, members[1:]):
        data_end = _data_start(file, member) + member.packed
        next_at = following.offset if following else end
        if data_end > next_at:
            # One piece of data under many names is how a small file becomes a very large one.
            raise too_large("entries of the archive share their bytes")
        gap = next_at - data_end
        if gap and not (member.flags & _DESCRIPTOR_FOLLOWS and gap in (12, 16, 20, 24)):
            raise corrupt("something stands between two entries")


def _data_start(file: IO[bytes], member: ZipMember) -> int:
    file.seek(member.offset)
    header = file.read(_LOCAL.size)
    if len(header) != _LOCAL.size:
        raise corrupt("an entry is cut off")
    mark, _, flags, method, _, _, crc, packed, size, *lengths = _LOCAL.unpack(header)
    name_size, extra_size = (int(length) for length in lengths)
    if mark != b"PK\3\4" or file.read(name_size) != member.raw_name:
        raise corrupt("an entry is not the one that the list names")
    same = (flags & ~_UTF8, method) == (member.flags & ~_UTF8, member.method)
    if not flags & _DESCRIPTOR_FOLLOWS:
        sizes = _wide(file.read(extra_size), size, packed, 0)[:2]
        same = same and (crc, *sizes) == (member.crc, member.size, member.packed)
    if not same:
        raise corrupt("an entry is not what the list says")
    return member.offset + _LOCAL.size + name_size + extra_size
