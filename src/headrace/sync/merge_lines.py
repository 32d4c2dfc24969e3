"""
Two changes of one text become one, line by line, by git's own merge of three files.

Blocks; call it in a thread. The files are in memory (memfd), git reads no configuration and no repository, and has a time limit.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from headrace.model.change import ConflictHunk
from headrace.model.limits import MIB
from headrace.treediff.lines import Match, matching_lines

#: Larger texts are not merged.
MOST_BYTES = MIB
_SECONDS = 10.0
#: git looks for a NUL in as many bytes.
_BINARY_BYTES = 8000
#: Of one file's conflicts: how many are shown, and how many characters of each side.
_HUNKS = 20
_SIDE_CHARACTERS = 4000

_MARKS = re.compile(rb"^(<+|=+|>+|\|+)", re.MULTILINE)
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_DIR": "/nonexistent",
}


@dataclass(frozen=True)
class Merged:
    """The merged text, or where the two sides contradict each other."""

    text: bytes | None
    hunks: tuple[ConflictHunk, ...] = ()


def is_binary(data: bytes) -> bool:
    return b"\0" in data[:_BINARY_BYTES]


def merge_lines(base: bytes, ours: bytes, theirs: bytes) -> Merged | None:
    """None when git is missing or gives up: then nobody knows."""
    # No line of the texts can be taken for one of git's own: those are longer than any that begins like them.
    marks = 1 + max((len(found[1]) for text in (base, ours, theirs) for found in _MARKS.finditer(text)), default=6)
    output = _run_git(max(marks, 7), base, ours, theirs)
    if output is None:
        return None
    conflicts, said = output
    if not conflicts:
        return Merged(text=said)
    return Merged(text=None, hunks=_hunks(said, max(marks, 7), ours))


def _run_git(marks: int, base: bytes, ours: bytes, theirs: bytes) -> tuple[bool, bytes] | None:
    program = shutil.which("git", path=_ENVIRONMENT["PATH"])
    if program is None:
        return None
    with ExitStack() as held:
        files = [_in_memory(held, text) for text in (ours, base, theirs)]
        names = [f"/proc/self/fd/{file}" for file in files]
        argv = [program, "merge-file", "-p", "-q", "--diff3", f"--marker-size={marks}", *names]
        try:
            done = subprocess.run(
                argv,
                env=_ENVIRONMENT,
                cwd="/",
                pass_fds=files,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
    # The status is the number of conflicts, 127 at most; beyond that, or below zero, git itself failed.
    return (done.returncode > 0, done.stdout) if 0 <= done.returncode <= 127 else None


def _in_memory(held: ExitStack, text: bytes) -> int:
    file = os.memfd_create("merge", os.MFD_CLOEXEC)
    held.callback(os.close, file)
    view = memoryview(text)
    while view:
        view = view[os.write(file, view) :]
    return file


def _hunks(said: bytes, marks: int, ours: bytes) -> tuple[ConflictHunk, ...]:
    settled: list[bytes] = []
    found: list[tuple[int, _Sides]] = []
    for part in _parts(_lines(said), marks):
        if isinstance(part, bytes):
            settled.append(part)
            continue
        found.append((len(settled), part))
        settled += part.ours
    # Where a conflict stands in our file: git says it only of the merged one.
    matches = matching_lines(settled, _lines(ours))
    return tuple(_hunk(_line(at, matches), sides) for at, sides in found[:_HUNKS])


@dataclass
class _Sides:
    ours: list[bytes] = field(default_factory=list)
    base: list[bytes] = field(default_factory=list)
    theirs: list[bytes] = field(default_factory=list)


def _parts(lines: Iterable[bytes], marks: int) -> Iterator[bytes | _Sides]:
    """Lines on which the sides agree, and the places where they don't, in the order in which git prints them."""
    begin, middle, split, end = (mark * marks for mark in (b"<", b"|", b"=", b">"))
    sides: _Sides | None = None
    into: list[bytes] = []
    for line in lines:
        if line.startswith(begin):
            sides = _Sides()
            into = sides.ours
        elif sides is None:
            yield line
        elif line.startswith(middle):
            into = sides.base
        elif line.startswith(split):
            into = sides.theirs
        elif line.startswith(end):
            yield sides
            sides = None
        else:
            into.append(line)


def _line(at: int, matches: Sequence[Match]) -> int:
    """Number, from 1, of the line of our file that is line `at` of the merged one, or comes in its place."""
    last = (0, 0, 0)
    for match in matches:
        if match[0] > at:
            break
        last = match
    return last[1] + min(at - last[0], last[2]) + 1


def _hunk(line: int, sides: _Sides) -> ConflictHunk:
    shown = [_shown(lines) for lines in (sides.base, sides.ours, sides.theirs)]
    there = len(sides.base) + len(sides.ours) + len(sides.theirs)
    return ConflictHunk(
        line=line, base=shown[0], ours=shown[1], theirs=shown[2], omitted=there - sum(len(lines) for lines in shown)
    )


def _shown(lines: Sequence[bytes]) -> tuple[str, ...]:
    shown: list[str] = []
    left = _SIDE_CHARACTERS
    for line in lines:
        left -= len(line)
        if left < 0:
            break
        shown.append(line.decode(errors="replace"))
    return tuple(shown)


def _lines(text: bytes) -> list[bytes]:
    """Only a newline ends a line."""
    return re.findall(rb"[^\n]*\n|[^\n]+", text)
