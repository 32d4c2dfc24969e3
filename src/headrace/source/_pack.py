"""Packs a directory for upload. Standard library only, besides errors: the command line imports it."""

import os
import stat
import tarfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from headrace.errors import InvalidInput
from headrace.source._ignore import list_files

_PIECE = 1 << 18
_BLOCK = 512


def pack_directory(root: Path, paths: Iterable[str] | None = None) -> Iterator[bytes]:
    """
    A tar of the files at `paths` (without it: those that no ignore file names), in pieces. The same files give the same bytes:
    they are sorted, and have no times and no owners.

    A link to one of these files is packed as that file, because archives with links are not taken. Raises InvalidInput for any
    other link, for what is neither file nor link, and for a file that shrinks while it is read.
    """
    top = os.path.realpath(root)
    chosen = sorted(list_files(root).paths if paths is None else paths)
    known = set(chosen)
    # An entry for the root says that all names are relative to it: a single directory inside is then not taken for the project.
    yield _header("./", 0, 0o755, tarfile.DIRTYPE)
    for path in chosen:
        yield from _file(path, _opened(top, path, known))
    yield bytes(2 * _BLOCK)


def _file(path: str, descriptor: int) -> Iterator[bytes]:
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _refused(path, "is not a plain file")
        yield _header(path, status.st_size, 0o755 if status.st_mode & 0o111 else 0o644, tarfile.REGTYPE)
        left = status.st_size
        while left:
            piece = file.read(min(left, _PIECE))
            if not piece:
                raise _refused(path, "became shorter while it was read", hint="try again")
            left -= len(piece)
            yield piece
        if padding := -status.st_size % _BLOCK:
            yield bytes(padding)


def _opened(top: str, path: str, known: Collection[str]) -> int:
    whole = os.path.join(top, path)  # noqa: PTH118 - thousands of times
    real = os.path.realpath(whole)
    if real != whole and os.path.relpath(real, top) not in known:
        raise _refused(path, "is a link to something that is not a file of the project")
    try:
        return os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise _refused(path, f"can't be read: {exc.strerror}") from exc


def _header(path: str, size: int, mode: int, kind: bytes) -> bytes:
    member = tarfile.TarInfo(path)
    member.size, member.mode, member.type = size, mode, kind
    try:
        return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
    except UnicodeEncodeError:
        raise _refused(path, "has a name that is not UTF-8") from None


def _refused(path: str, why: str, *, hint: str = "name it in .headraceignore, or replace it by a copy") -> InvalidInput:
    return InvalidInput(f"{path!r} {why}", hint=hint, code="source.entry_forbidden")
