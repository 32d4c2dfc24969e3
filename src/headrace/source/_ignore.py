"""Which files of a directory are part of a project: what no ignore file names, without entering what one does."""

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headrace.disk import open_regular
from headrace.source._failures import too_large
from headrace.source._patterns import Rules, parse_rules

#: Never part of a project, at any depth, whatever the files say.
NEVER = frozenset({b".git", b"node_modules", b".headrace"})
#: In the order in which they are read: a later file wins over an earlier one of the same directory.
IGNORE_FILES = (b".gitignore", b".headraceignore")

_IGNORE_FILE_BYTES = 1 << 20


@dataclass(frozen=True)
class Found:
    #: Regular files and links, relative to the root, sorted.
    paths: list[str]
    #: The links among them, with their targets.
    links: dict[str, str] = field(default_factory=dict)
    #: Sockets, devices and the like, which are left out.
    odd: list[str] = field(default_factory=list)
    #: Every directory that was entered, the root as `""`: what has to be watched to hear of new files.
    directories: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Directory:
    path: bytes
    parts: tuple[bytes, ...]
    #: Rules that apply below here, the nearest first, each with the number of parts above its directory.
    rules: Sequence[tuple[int, Rules]]


def list_files(root: Path, *, most_files: int | None = None, check: Callable[[], None] = lambda: None) -> Found:
    """
    The project's files below `root`. Follows no link. `check` is called for each directory and may raise to end the walk.

    Raises StepFailed (`source_too_large`) for more than `most_files`.
    """
    found: list[bytes] = []
    odd: list[bytes] = []
    links: dict[str, str] = {}
    entered: list[bytes] = []
    waiting = [_Directory(os.fsencode(root), (), ())]
    while waiting:
        check()
        directory = waiting.pop()
        entered.append(b"/".join(directory.parts))
        with os.scandir(directory.path) as scanned:
            entries = [entry for entry in scanned if entry.name not in NEVER]
        rules = _rules_of(directory, entries)
        for entry in entries:
            parts = (*directory.parts, entry.name)
            is_directory = entry.is_dir(follow_symlinks=False)
            if rules and _is_ignored(rules, parts, is_directory=is_directory):
                continue
            if is_directory:
                waiting.append(_Directory(entry.path, parts, rules))
            elif entry.is_file(follow_symlinks=False):
                found.append(b"/".join(parts))
            elif entry.is_symlink():
                found.append(b"/".join(parts))
                links[os.fsdecode(found[-1])] = os.fsdecode(os.readlink(entry.path))  # noqa: PTH115 - bytes
            else:
                odd.append(b"/".join(parts))
        if most_files is not None and len(found) > most_files:
            raise too_large(f"the directory has more than {most_files} files")
    return Found(
        paths=sorted(map(os.fsdecode, found)),
        links=links,
        odd=sorted(map(os.fsdecode, odd)),
        directories=sorted(map(os.fsdecode, entered)),
    )


def _is_ignored(rules: Sequence[tuple[int, Rules]], parts: Sequence[bytes], *, is_directory: bool) -> bool:
    for above, own in rules:
        decided = own.decide(parts[above:], is_directory=is_directory)
        if decided is not None:
            return decided
    return False


def _rules_of(directory: _Directory, entries: Sequence["os.DirEntry[bytes]"]) -> Sequence[tuple[int, Rules]]:
    names = {entry.name: entry for entry in entries if entry.name in IGNORE_FILES}
    own = [rule for name in IGNORE_FILES if name in names for rule in parse_rules(_read(names[name]))]
    return ((len(directory.parts), Rules(own)), *directory.rules) if own else directory.rules


def _read(entry: "os.DirEntry[bytes]") -> bytes:
    # Like git, don't read one that is a link: it could show what is elsewhere.
    if not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
        return b""
    with open_regular(Path(os.fsdecode(entry.path))) as file:
        text = file.read(_IGNORE_FILE_BYTES + 1)
    if len(text) > _IGNORE_FILE_BYTES:
        raise too_large(f"{os.fsdecode(entry.name)} is larger than {_IGNORE_FILE_BYTES} bytes")
    return text
