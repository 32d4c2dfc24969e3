"""Unpacks an archive into an empty directory. What can't be taken raises; the caller removes what was written before."""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from headrace.source._intake import ArchiveLimits, Intake, corrupt, too_large, unsupported
from headrace.source._streams import PIECE, Plain, Stream, Unpacked
from headrace.source._tar import BLOCK, looks_like_tar, read_tar
from headrace.source._zip import END_MARK, list_zip, read_member

#: Bytes of a tar beyond the content of its files: header, long name and padding of each.
_TAR_OVERHEAD = 4 * BLOCK
_OTHERS = (b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"BZh", b"\xfd7zXZ\0", b"\x1f\x9d")


def unpack(file: IO[bytes], into: Path, limits: ArchiveLimits, check: Callable[[], None] = lambda: None) -> None:
    """
    Unpack a tar, tar.gz, tar.zst or zip file, known by its first bytes, not by its name. `check` is called again and again and
    may raise to end it. Raises InvalidInput and TooLarge with an `archive.…` code, or `upload.reserved_path`.

    Files get the mode 0644 or 0755 and nothing else of what the archive says about them. When all is in one directory, its
    content is moved to the top, unless the archive has an entry for its own root: `tar -C project .` has one.
    """
    length = file.seek(0, os.SEEK_END)
    if length > limits.bytes:
        raise too_large(f"the archive has more than {limits.bytes} bytes")
    file.seek(0)
    intake = Intake(limits)
    _Writer(into, intake, check).write(file, length)
    if not intake.has_root:
        _strip_single_directory(into)


class _Writer:
    def __init__(self, into: Path, intake: Intake, check: Callable[[], None]) -> None:
        self._into = os.fspath(into)
        self._intake = intake
        self._check = check

    def write(self, file: IO[bytes], length: int) -> None:
        start = file.read(BLOCK)
        file.seek(0)
        limits = self._intake.limits
        most = limits.bytes + limits.files * _TAR_OVERHEAD
        if start.startswith(b"PK\3\4") or (start.startswith(END_MARK) and length == 22):
            self._zip(file)
        elif start.startswith(b"\x1f\x8b"):
            self._tar(Unpacked(file, "gzip", most=most))
        elif start.startswith(b"\x28\xb5\x2f\xfd"):
            self._tar(Unpacked(file, "zstd", most=most))
        elif looks_like_tar(start):
            self._tar(Plain(file))
        elif start.startswith(_OTHERS):
            raise unsupported("this kind of archive is not supported")
        elif not start or END_MARK in _tail(file, length) or length < BLOCK:
            raise corrupt("it does not begin as an archive does")
        else:
            raise unsupported("this is no archive of a kind that is known here")

    def _tar(self, stream: Stream) -> None:
        for member in read_tar(stream):
            self._member(
                member.name, _exactly(stream, member.size), member.size, member.is_directory, member.executable
            )

    def _zip(self, file: IO[bytes]) -> None:
        for member in list_zip(file, self._intake.limits):
            content = iter(()) if member.is_directory else read_member(file, member)
            self._member(member.name, content, member.size, member.is_directory, member.executable)

    def _member(self, name: str, content: Iterable[bytes], size: int, is_directory: bool, executable: bool) -> None:
        self._check()
        path = self._intake.member(name, is_directory=is_directory, size=size)
        if path is None:
            for _ in content:
                self._check()
            return
        whole = os.path.join(self._into, path)  # noqa: PTH118 - thousands of times
        os.makedirs(whole if is_directory else os.path.dirname(whole), exist_ok=True)  # noqa: PTH103, PTH120
        if not is_directory:
            self._file(whole, content, executable)

    def _file(self, path: str, content: Iterable[bytes], executable: bool) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o755 if executable else 0o644), "wb") as out:
            for piece in content:
                self._check()
                out.write(piece)


def _exactly(stream: Stream, size: int) -> Iterator[bytes]:
    while size:
        piece = stream.read(min(size, PIECE))
        if not piece:
            raise corrupt("it ends in the middle")
        size -= len(piece)
        yield piece


def _tail(file: IO[bytes], length: int) -> bytes:
    file.seek(max(0, length - (1 << 16)))
    return file.read()


def _strip_single_directory(root: Path) -> None:
    with os.scandir(root) as scanned:
        entries = list(scanned)
    if len(entries) != 1 or not entries[0].is_dir(follow_symlinks=False):
        return
    # Under a name first that nothing in it can have: it may hold something that is called as it is.
    top = Path(entries[0].path).rename(root / f".top-{secrets.token_hex(8)}")
    for child in list(top.iterdir()):
        child.rename(root / child.name)
    top.rmdir()
