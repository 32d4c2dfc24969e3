"""
A closed log, compressed.

zstd frames of about 1 MiB of whole lines, so that reading from the middle decompresses little, and behind them an index
in a frame that other programs skip: `zstd -dc FILE` prints the whole log.
"""

import os
import struct
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import orjson

from headrace.eventfile import number_of, pieces, read_state, retired_path, state_path

_FRAME = 1024 * 1024
_SKIPPABLE = 0x184D2A50
#: Ends the index frame, and with it the file: length of the index, and a mark.
_FOOTER = struct.Struct("<I8s")
_MARK = b"HRLOGIDX"


class Frame(NamedTuple):
    first_seq: int
    offset: int
    length: int


class RetiredLog(NamedTuple):
    """The index of a compressed log."""

    path: Path
    last_seq: int
    frames: tuple[Frame, ...]

    def read(self, frame: Frame, after: int) -> bytes:
        """The lines of a frame whose numbers are above `after`."""
        from backports.zstd import decompress  # noqa: PLC0415 - most processes never read a retired log

        with self.path.open("rb", buffering=0) as file:
            lines = decompress(os.pread(file.fileno(), frame.length, frame.offset))
        if after < frame.first_seq:
            return lines
        start = lines.find(b'\n{"seq":%d,' % (after + 1))
        return lines[start + 1 :] if start >= 0 else b""

    def frames_after(self, after: int) -> tuple[Frame, ...]:
        """The frames that hold records with numbers above `after`."""
        if after >= self.last_seq:
            return ()
        first = bisect_right(self.frames, after + 1, key=lambda frame: frame.first_seq) - 1
        return self.frames[max(first, 0) :]


def open_retired(path: Path) -> RetiredLog | None:
    """The compressed form of the log at `path`; None when there is none."""
    compressed = retired_path(path)
    try:
        with compressed.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            length, mark = _FOOTER.unpack(os.pread(file.fileno(), _FOOTER.size, end - _FOOTER.size))
            if mark != _MARK:
                raise ValueError(f"{compressed} has no index")
            index = orjson.loads(os.pread(file.fileno(), length, end - _FOOTER.size - length))
    except FileNotFoundError:
        return None
    return RetiredLog(compressed, index["last_seq"], tuple(Frame(*frame) for frame in index["frames"]))


def compress_log(path: Path) -> None:
    """Put the compressed form in the place of a closed log. Nothing happens when it is open, or there is none."""
    state = read_state(path)
    if retired_path(path).exists():
        _remove_plain(path)  # an earlier call ended between its last two steps
        return
    if not state.closed:
        return
    aside = retired_path(path).with_suffix(f".{os.getpid()}")
    try:
        with path.open("rb", buffering=0) as source, aside.open("wb") as target:
            _write(source.fileno(), state.size, state.last_seq, target)
            target.flush()
            os.fsync(target.fileno())
        aside.replace(retired_path(path))
    finally:
        aside.unlink(missing_ok=True)
    _remove_plain(path)


def _write(source: int, size: int, last_seq: int, target: BinaryIO) -> None:
    from backports.zstd import compress  # noqa: PLC0415 - as above

    frames = []
    offset = 0
    for block in _blocks(source, size):
        data = compress(block)
        frames.append(Frame(number_of(block), offset, len(data)))
        offset += len(data)
        target.write(data)
    index = orjson.dumps({"last_seq": last_seq, "frames": [list(frame) for frame in frames]})
    content = index + _FOOTER.pack(len(index), _MARK)
    target.write(struct.pack("<II", _SKIPPABLE, len(content)) + content)


def _blocks(source: int, size: int) -> Iterator[bytes]:
    gathered: list[bytes] = []
    length = 0
    for piece in pieces(source, 0, size):
        gathered.append(piece)
        length += len(piece)
        if length >= _FRAME:
            yield b"".join(gathered)
            gathered, length = [], 0
    if gathered:
        yield b"".join(gathered)


def _remove_plain(path: Path) -> None:
    for leftover in (path, state_path(path)):
        with suppress(FileNotFoundError):
            leftover.unlink()
