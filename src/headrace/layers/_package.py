"""Unpacks npm packages: regular files only, below one directory, with caps that are checked while unpacking."""

import gzip
import os
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from headrace.disk import storage_errors
from headrace.errors import InvalidInput, ToolUnavailable
from headrace.model.limits import GIB, MIB
from headrace.tree import check_path

_MAX_BYTES = 2 * GIB
_MAX_FILES = 100_000
_PIECE = MIB


def unpack(package: Path, into: Path, wanted: Callable[[str], bool] = lambda _: True) -> None:
    """
    Write the files of `package` (a gzipped tar) below the new directory `into`, without the directory that all of them are in.
    `wanted` chooses by path. Raises ToolUnavailable for an archive that holds anything but plain files and directories.
    """
    into.mkdir(parents=True)
    try:
        with storage_errors(), gzip.open(package) as unpacked:
            with tarfile.open(fileobj=unpacked, mode="r|") as archive:
                _unpack(archive, into, wanted)
            while unpacked.read(_PIECE):
                pass  # to the end, where the checksum is
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as exc:
        raise ToolUnavailable(f"{package.name} is not a package: {exc}", code="tool.bad_package") from exc
    except InvalidInput as exc:
        raise _refused(exc.message, "it is a bad path") from exc
    except (FileExistsError, NotADirectoryError) as exc:
        raise _refused(str(exc.filename), "it is there twice") from exc


def _unpack(archive: tarfile.TarFile, into: Path, wanted: Callable[[str], bool]) -> None:
    files = size = 0
    for member in archive:
        path = member.name.partition("/")[2].rstrip("/")
        if member.isdir() or not wanted(path):
            continue
        if not member.isreg() or member.issparse():
            raise _refused(member.name, "it is not a regular file")
        check_path(path)
        files, size = files + 1, size + member.size
        if size > _MAX_BYTES or files > _MAX_FILES:
            raise _refused(member.name, "the package is too large")
        content = archive.extractfile(member)
        assert content is not None  # noqa: S101 - it is a regular file
        _write(content, into / path, executable=bool(member.mode & 0o111))


def _write(content: IO[bytes], path: Path, *, executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        while piece := content.read(_PIECE):
            file.write(piece)
        if executable:
            os.fchmod(descriptor, 0o755)


def _refused(what: str, why: str) -> ToolUnavailable:
    return ToolUnavailable(f"a package was refused at {what}: {why}", code="tool.bad_package")
