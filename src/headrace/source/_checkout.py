"""
Writes the files of a commit without a checkout: names from `git ls-tree`, bytes from `git cat-file --batch`.

A checkout would ask `.gitattributes` for filters, line ends, encodings and substitutions, and would run hooks. Here nothing
that the repository says is acted on: a file has the bytes that were committed.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from headrace.errors import StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.source._command import GitCommand
from headrace.source._failures import source_failed, too_large
from headrace.source._names import NAME_BYTES, PATH_BYTES, is_git_name
from headrace.source._process import GitFailed, TooMuchOutput, reading_git, run_git
from headrace.source._stop import Stop

_PIECE = 1 << 20
_LINK_BYTES = 4095
#: A pointer file of Git LFS is at most this long, and begins so.
_POINTER_BYTES, _POINTER = 1024, b"version https://git-lfs.github.com/spec/"

#: Makes a command that reads this repository and reaches nothing.
Local = Callable[..., GitCommand]


@dataclass(frozen=True)
class Entry:
    mode: int
    name: str
    size: int
    path: str

    @property
    def is_link(self) -> bool:
        return self.mode == 0o120000


@dataclass(frozen=True)
class Listing:
    #: Regular files in the order of their paths, then links: while files are written there is no link to go through.
    files: Sequence[Entry]
    submodules: Sequence[str]


def list_commit(git: Local, commit: str, stop: Stop, *, most_files: int, most_bytes: int) -> Listing:
    """What a commit consists of. Raises StepFailed for more than the limits, and for paths that can't be written safely."""
    try:
        output = run_git(
            git("ls-tree", "-r", "-z", "-l", "--full-tree", "--end-of-options", commit),
            stop,
            most=(1 << 20) + most_files * 512,
        )
    except TooMuchOutput:
        # Trees can name each other again and again: the list of a tiny repository can have no end.
        raise too_large(f"the repository has more than {most_files} files") from None
    found = [_entry(line) for line in output.split(b"\0") if line]
    files = [entry for entry in found if entry.mode != 0o160000]
    if len(files) > most_files:
        raise too_large(f"the repository has {len(files)} files; at most {most_files} are taken")
    if sum(entry.size for entry in files) > most_bytes:
        raise too_large(f"the repository's files have more than {most_bytes} bytes")
    _refuse_unsafe(files, {entry.path for entry in files})
    files.sort(key=lambda entry: (entry.is_link, entry.path))
    return Listing(files=files, submodules=[entry.path for entry in found if entry.mode == 0o160000])


def _entry(line: bytes) -> Entry:
    about, _, path = line.partition(b"\t")
    mode, _, name, size = about.split()
    return Entry(
        mode=int(mode, 8),
        name=name.decode(),
        size=0 if size == b"-" else int(size),
        path=path.decode(errors="surrogateescape"),
    )


def _refuse_unsafe(files: Sequence[Entry], paths: set[str]) -> None:
    # git refuses most of these when it fetches; what is written here does not depend on that.
    if len(paths) != len(files):
        raise _unsafe("a path is there twice")
    safe: set[str] = {""}
    for entry in files:
        if entry.is_link and entry.size > _LINK_BYTES:
            raise _unsafe("a link is longer than a path can be")
        if len(os.fsencode(entry.path)) > PATH_BYTES:
            raise too_large(f"a path of the repository is longer than {PATH_BYTES} bytes")
        directory, _, name = entry.path.rpartition("/")
        _refuse_name(name)
        while directory not in safe:
            if directory in paths:
                raise _unsafe("a path is a file and a directory")
            safe.add(directory)
            directory, _, name = directory.rpartition("/")
            _refuse_name(name)


def _refuse_name(name: str) -> None:
    if name in {"", ".", ".."} or is_git_name(name) or len(os.fsencode(name)) > NAME_BYTES:
        raise _unsafe(f"a path has the part {name[:60]!r}")


def _unsafe(why: str) -> StepFailed:
    return source_failed(
        FailureReason.SOURCE_FORBIDDEN,
        f"the repository can't be written out safely: {why}",
        hint="remove it from the repository with git rm and push again",
    )


def write_out(git: Local, listing: Listing, into: Path, stop: Stop) -> int:
    """Write the files into the empty directory `into`. Returns how many are pointers of Git LFS, whose content is elsewhere.

    Raises GitFailed when the repository lacks some of it.
    """
    pointers = 0
    made = {""}
    with tempfile.TemporaryFile(dir=into.parent) as names:
        names.write("".join(f"{entry.name}\n" for entry in listing.files).encode())
        names.seek(0)
        with reading_git(git("cat-file", "--batch", "--buffer"), stop, names) as blobs:
            for entry in listing.files:
                stop.check()
                _check_header(blobs, entry)
                directory = entry.path.rpartition("/")[0]
                if directory not in made:
                    os.makedirs(os.path.join(into, directory), exist_ok=True)  # noqa: PTH103, PTH118 - thousands of times
                    made.add(directory)
                first = _write(blobs, entry, os.path.join(into, entry.path), stop)  # noqa: PTH118
                pointers += entry.size <= _POINTER_BYTES and first.startswith(_POINTER)
    return pointers


def _check_header(blobs: IO[bytes], entry: Entry) -> None:
    header = blobs.readline()
    if header != f"{entry.name} blob {entry.size}\n".encode():
        raise GitFailed(0, f"the content of {entry.path!r} is missing")


def _write(blobs: IO[bytes], entry: Entry, path: str, stop: Stop) -> bytes:
    """Write one file or link; the first piece of its content."""
    first = piece = _read(blobs, min(entry.size, _PIECE))
    if entry.is_link:
        os.symlink(first, os.fsencode(path))  # noqa: PTH211 - the target is bytes
    else:
        mode = 0o755 if entry.mode & 0o111 else 0o644
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            left = entry.size - len(piece)
            file.write(piece)
            while left:
                stop.check()
                piece = _read(blobs, min(left, _PIECE))
                left -= len(piece)
                file.write(piece)
    _read(blobs, 1)
    return first


def _read(blobs: IO[bytes], size: int) -> bytes:
    data = blobs.read(size)
    if len(data) != size:
        raise GitFailed(0, "git ended while its files were read")
    return data
