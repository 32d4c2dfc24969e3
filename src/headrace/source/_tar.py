"""
Reads tar files: ustar, GNU and pax. Files and directories are members; everything else ends the reading.

Only what an honest archiver writes is understood. Where two readers could see different things, such as a name that is given
twice, the archive is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from headrace.source._intake import corrupt, invalid, link_forbidden, type_forbidden, unsupported
from headrace.source._streams import Stream

BLOCK = 512
_ZEROS = bytes(BLOCK)
#: Longest name or pax header that is read; a name beyond the limit of paths is refused later anyway.
_META_BYTES = 64 * 1024

_KINDS = {
    b"3": "a device",
    b"4": "a device",
    b"6": "a FIFO",
    b"7": "a file of a kind that is long gone",
    b"S": "a sparse file",
    b"D": "a directory's list",
    b"M": "a piece of a file that began in another volume",
    b"V": "a volume's name",
}
#: Beginnings of pax keys of things that a plain file doesn't have. What macOS notes about each file is no such thing.
_FORBIDDEN_KEYS = ("SCHILY.xattr.", "LIBARCHIVE.xattr.", "SCHILY.acl.", "RHT.security.", "GNU.sparse.")
_HARMLESS_KEYS = ("SCHILY.xattr.com.apple.", "LIBARCHIVE.xattr.com.apple.")


@dataclass(frozen=True)
class TarMember:
    name: str
    size: int
    is_directory: bool
    executable: bool


@dataclass
class _Next:
    """What was said before a member about it."""

    name: bytes | None = None
    keys: dict[str, bytes] = field(default_factory=dict)


def looks_like_tar(block: bytes) -> bool:
    return len(block) == BLOCK and (block == _ZEROS or block[257:262] == b"ustar" or _checksum_fits(block))


def read_tar(stream: Stream) -> Iterator[TarMember]:
    """
    The members. After each the caller reads its `size` bytes from the stream and calls for the next; the padding is read here.
    """
    said = _Next()
    while True:
        header = stream.read(BLOCK)
        if header == _ZEROS:
            _check_end(stream, said)
            return
        if len(header) != BLOCK or not _checksum_fits(header):
            raise corrupt("a header is cut off or makes no sense")
        kind, size = header[156:157], _number(header[124:136])
        if kind in {b"x", b"g", b"L"}:
            _listen(kind, _meta(stream, size), said)
            continue
        member = _member(header, kind, size, said)
        said = _Next()
        yield member
        _skip_padding(stream, member.size)


def _member(header: bytes, kind: bytes, size: int, said: _Next) -> TarMember:
    raw = _name(header, said)
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        raise invalid(f"a name is not UTF-8: {raw[:100]!r}") from None
    if kind in {b"1", b"2", b"K"} or "linkpath" in said.keys:
        raise link_forbidden(name)
    if kind in _KINDS:
        raise type_forbidden(name, _KINDS[kind])
    if kind not in {b"0", b"\0", b"5"}:
        raise type_forbidden(name, f"an entry of the unknown kind {kind!r}")
    _check_keys(name, said.keys)
    if "size" in said.keys:
        size = _decimal(said.keys["size"])
    is_directory = kind == b"5" or name.endswith("/")
    if is_directory and size:
        raise corrupt("a directory has bytes")
    mode = _number(header[100:108])
    if mode & 0o6000 and not is_directory:
        raise type_forbidden(name, "a file that would run as its owner")
    return TarMember(name=name, size=size, is_directory=is_directory, executable=bool(mode & 0o111))


def _name(header: bytes, said: _Next) -> bytes:
    if said.name is not None and "path" in said.keys:
        raise invalid("a member has two long names")
    if said.name is not None:
        return said.name
    if "path" in said.keys:
        return said.keys["path"]
    name = _text(header[0:100])
    # GNU tar keeps other things in the place of the prefix, and says so in its magic.
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _listen(kind: bytes, data: bytes, said: _Next) -> None:
    if kind == b"L":
        if said.name is not None:
            raise invalid("a member has two long names")
        said.name = data.split(b"\0")[0]
        return
    keys = dict(_pax(data))
    if kind == b"x":
        if said.keys.keys() & keys.keys():
            raise invalid("a member is described twice")
        said.keys.update(keys)
    elif keys.keys() - {"comment"}:
        # git notes its commit so. Anything else would change every member that follows.
        raise unsupported("the archive has a global header that says more than a comment")


def _pax(data: bytes) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    while data:
        length, _, _ = data.partition(b" ")
        size = _decimal(length) if len(length) < 8 else 0
        record = data[len(length) + 1 : size]
        if size <= len(length) + 1 or size > len(data) or not record.endswith(b"\n"):
            raise corrupt("a pax header makes no sense")
        key, equals, value = record[:-1].partition(b"=")
        name = key.decode(errors="replace")
        if not equals or name in seen or b"\0" in value:
            raise invalid("a pax header says something twice, or nothing")
        seen.add(name)
        yield name, value
        data = data[size:]


def _check_keys(name: str, keys: dict[str, bytes]) -> None:
    for key in keys:
        if key.startswith(_FORBIDDEN_KEYS) and not key.startswith(_HARMLESS_KEYS):
            raise type_forbidden(name, f"a file with {key.split('.')[1]}")


def _meta(stream: Stream, size: int) -> bytes:
    if size > _META_BYTES:
        raise invalid("a name or a header has more than 64 KiB")
    data = stream.read(size)
    if len(data) != size:
        raise corrupt("it ends in the middle")
    _skip_padding(stream, size)
    return data


def _skip_padding(stream: Stream, size: int) -> None:
    padding = -size % BLOCK
    if len(stream.read(padding)) != padding:
        raise corrupt("it ends in the middle")


def _check_end(stream: Stream, said: _Next) -> None:
    if said != _Next():
        raise corrupt("a member is described and not there")
    if stream.read(BLOCK) != _ZEROS:
        raise corrupt("its end is not one")
    # Archivers fill up to the size of a tape's record.
    while rest := stream.read(BLOCK * 128):
        if rest.strip(b"\0"):
            raise corrupt("something follows its end")


def _checksum_fits(header: bytes) -> bool:
    said = header[148:156].strip(b" \0")
    if not said or said.strip(b"01234567"):
        return False
    return int(said, 8) == sum(header[:148]) + sum(header[156:]) + 8 * 32


def _number(digits: bytes) -> int:
    if digits[0] & 0x80:
        if digits[0] != 0x80:
            raise corrupt("a number is negative or beyond all measure")
        return int.from_bytes(digits[1:], "big")
    text = digits.split(b"\0")[0].strip(b" ")
    if not text:
        return 0
    if text.strip(b"01234567"):
        raise corrupt("a number is none")
    return int(text, 8)


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise corrupt("a number is none")
    return int(text)


def _text(value: bytes) -> bytes:
    return value.split(b"\0")[0]
