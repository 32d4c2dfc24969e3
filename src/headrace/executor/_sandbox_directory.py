"""
A sandbox on the disk. Everything about it is below its directory, so that any process can find it, end it, remove it.

    sandbox.json         what its maker decided, such as its ids
    disk/upper, home     what commands write; owned by the service on the disk
    disk/work, empty     for the overlay
    commands/<index>/    see `_instructions`
    readers              locked by those who read the sandbox's tree
"""

import errno
import fcntl
import hashlib
import json
import os
import random
import re
import secrets
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from headrace.disk import locked, remove_tree, spread_directories
from headrace.errors import ExecutorUnavailable
from headrace.executor._cgroup import Cgroup
from headrace.executor._disk import DiskWatch, Used
from headrace.executor._follow import end_supervisor, has_ended, has_started, seconds_since_start
from headrace.executor._instructions import group_of, write_aside
from headrace.executor._keeper import mounts_from
from headrace.executor._spec import IDS
from headrace.executor._ungrouped import Ungrouped
from headrace.linux import this_boot
from headrace.model.sandbox import CommandResult, KillReason

#: A supervisor ends a command within 2 s of the wish; after this time it is ended itself.
_KILL_SECONDS = 2.0

_PARTS = ("disk/upper", "disk/home", "disk/work", "disk/empty", "commands")


_BOOT = "boot"

#: Sandboxes that are made at the same time know of each other.
_DECIDING = threading.Lock()

#: Names of directories, control groups and containers at once.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def sandbox_path(root: Path, name: str) -> Path:
    """Where the sandbox `name` is. Raises ExecutorUnavailable for a name that would lead elsewhere."""
    if not _NAME.fullmatch(name):
        raise ExecutorUnavailable(f"{name!r} can't be the name of a sandbox")
    return root / name


def cgroup_of(root: Path, name: str) -> str:
    """
    The control group of a sandbox, below each tree. These trees are the machine's: a sandbox of the same name in another data
    directory has another one.
    """
    return f"/headrace/{hashlib.sha256(bytes(root.absolute())).hexdigest()[:12]}-{name}"


#: The first ids that sandboxes may have: far above those of people and services.
FIRST_IDS = range(16 * IDS, 32_000 * IDS, IDS)


class Allotted(NamedTuple):
    """What a new sandbox gets as its own."""

    #: The first of its ids, which no other has.
    first_id: int
    #: Where its processors begin, counted from 0: where the fewest others have theirs.
    processor: int


def allot(root: Path, ids: range, *, processors: int, of_each: int) -> Allotted:
    """
    Its id is the only one as long as `ids` has one that is free. Of the machine's `processors` each sandbox has `of_each`, one
    behind another.
    """
    taken, used = set[int](), [0] * max(1, processors)
    for name in existing(root):
        with suppress(OSError, ValueError, KeyError):
            kept = json.loads((root / name / "sandbox.json").read_bytes())
            taken.add(kept["first_id"])
            for number in range(of_each):
                used[(kept["processor"] + number) % len(used)] += 1
    # At random, so that two data directories hardly ever meet.
    for _ in range(len(taken) * 10 + 10):
        if (first := random.choice(ids)) not in taken:  # noqa: S311 - any will do
            break
    begins = random.sample(range(len(used)), len(used))
    return Allotted(first, min(begins, key=lambda begin: sum(used[(begin + n) % len(used)] for n in range(of_each))))


class SandboxDirectory:
    """
    `ungrouped` finds the processes of a sandbox on machines where they can't be put into groups. `sweep` takes away what somebody
    else keeps of the sandbox.
    """

    def __init__(
        self, root: Path, name: str, ungrouped: Ungrouped | None = None, sweep: Callable[[], None] | None = None
    ) -> None:
        self.path = sandbox_path(root, name)
        self.upper = self.path / "disk" / "upper"
        self._group = cgroup_of(root, name)
        self._ungrouped = ungrouped
        self._sweep = sweep

    def command(self, index: int) -> Path:
        return self.path / "commands" / str(index)

    def kill(self, reason: KillReason) -> None:
        """End what runs, and the supervisor too when it doesn't obey. Blocks for some seconds at most."""
        for command in self._unfinished():
            end_supervisor(command, reason, _KILL_SECONDS)
            if has_started(command) and not has_ended(command):
                self.bury(command)

    def bury(self, command: Path) -> CommandResult:
        """
        The supervisor of `command` was killed. What it left behind goes, and the command gets an end, which is returned: a disk
        that is full does not take it.
        """
        seconds = seconds_since_start(command)
        self._kill_processes()
        # What a supervisor can't write on a disk without room ends it.
        full = DiskWatch([str(command)], Used(sys.maxsize, sys.maxsize)).exceeded_at_end()
        reason = KillReason.DISK if full else KillReason.LOST
        result = CommandResult(killed_by=reason, disk_limit=full, seconds=seconds)
        with suppress(OSError):  # or the sandbox was removed meanwhile
            if not has_ended(command):
                write_aside(command / "exit.json", result.model_dump_json().encode())
        return result

    def forget(self, index: int) -> None:
        """A command that never began: the next attempt at it starts anew."""
        remove_tree(self.command(index))

    def remove(self) -> None:
        """Kill what runs and remove everything. Safe to repeat, and to be done by two at once."""
        self.kill(KillReason.CANCELLED)
        self._kill_processes()
        # The name is free at once; deleting takes its time.
        with suppress(FileNotFoundError):
            self.path.rename(self.path.with_name(f".removed-{secrets.token_hex(6)}"))
        _empty_trash(self.path.parent)

    def memory(self) -> int | None:
        """Bytes that its processes use now."""
        used = [group.memory() for group in self._groups()]
        if self._ungrouped:
            used += [self._ungrouped.memory(command) for command in self._unfinished()]
        return max((number for number in used if number is not None), default=None)

    def hold(self, tree: int) -> None:
        """Keep the sandbox's files until the descriptor `tree` is closed, also after `remove`."""
        lock = os.open(self.path / "readers", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_SH)
        about = os.fstat(tree)
        _readers.append(_Reader(tree, about.st_dev, about.st_ino, lock))

    def _kill_processes(self) -> None:
        """Those that no supervisor looks after any more."""
        for group in self._groups():
            group.kill(_KILL_SECONDS)
            group.remove()
        if self._sweep:
            self._sweep()
        for _ in range(100 if self._ungrouped else 0):
            if not (self._ungrouped and self._ungrouped.kill(self.path)):
                return

    def _groups(self) -> list[Cgroup]:
        """The sandbox's control group, and those that others chose for its commands."""
        chosen = [group_of(command) for command in self._unfinished()]
        return [self._own_group(), *(Cgroup(path) for path in chosen if path)]

    def _own_group(self) -> Cgroup:
        """Its maker may have had other parts of the trees than we have."""
        with suppress(OSError, ValueError):
            groups = _kept(self.path).get("groups")
            return Cgroup(self._group, None if groups is None else mounts_from(groups))
        return Cgroup(self._group)

    def _unfinished(self) -> Iterator[Path]:
        with suppress(FileNotFoundError):
            yield from [path for path in (self.path / "commands").iterdir() if not has_ended(path)]


class _Reader(NamedTuple):
    """A descriptor that was given away. Its owner closes it without a word, so it is looked at now and then."""

    tree: int
    device: int
    inode: int
    lock: int

    def is_open(self) -> bool:
        try:
            about = os.fstat(self.tree)
        except OSError:
            return False
        # The number may be another file's by now.
        return (about.st_dev, about.st_ino) == (self.device, self.inode)


_readers: list[_Reader] = []


def _empty_trash(root: Path) -> None:
    """Delete what was set aside, except what somebody still reads: that goes with a later sandbox."""
    for reader in [reader for reader in _readers if not reader.is_open()]:
        _readers.remove(reader)
        os.close(reader.lock)
    for entry in root.glob(".removed-*"):
        with suppress(FileNotFoundError), locked(entry / "readers") as unread:
            if unread:
                _remove(entry)


def _remove(entry: Path) -> None:
    try:
        remove_tree(entry)
    except OSError as exc:
        # Somebody else who removes it has made its lock anew, and goes on.
        if exc.errno != errno.ENOTEMPTY:
            raise


def make_directory(path: Path, fill: Callable[[Path], Mapping[str, Any]]) -> Mapping[str, Any]:
    """
    Make the sandbox's directory, with what `fill` puts into it; what `fill` says is kept. Where there is one already, what
    was kept then.
    """
    with suppress(FileNotFoundError):
        return _kept(path)
    aside = path.with_name(f".making-{secrets.token_hex(6)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        spread_directories(path.parent)
        for name in _PARTS:
            (aside / name).mkdir(parents=True)
        with _DECIDING:
            (aside / "sandbox.json").write_text(json.dumps({**fill(aside), _BOOT: this_boot()}))
            with suppress(OSError):  # somebody else has made it meanwhile
                aside.rename(path)
        return _kept(path)
    finally:
        remove_tree(aside)


def existing(root: Path) -> list[str]:
    """
    Names of sandboxes. Those that were made before the machine started are removed: nothing of them can go on, and the power may
    have taken parts of them.
    """
    try:
        found = sorted(entry for entry in root.iterdir() if not entry.name.startswith("."))
    except FileNotFoundError:
        return []
    gone = {entry for entry in found if _is_of_an_earlier_boot(entry)}
    for entry in gone:
        with suppress(FileNotFoundError):
            entry.rename(entry.with_name(f".removed-{secrets.token_hex(6)}"))
    if gone:
        _empty_trash(root)
    return [entry.name for entry in found if entry not in gone]


def _is_of_an_earlier_boot(path: Path) -> bool:
    try:
        return str(_kept(path).get(_BOOT, this_boot())) != this_boot()
    except FileNotFoundError:
        return False
    except ValueError:
        return True


def _kept(path: Path) -> Mapping[str, Any]:
    kept: Mapping[str, Any] = json.loads((path / "sandbox.json").read_bytes())
    return kept
