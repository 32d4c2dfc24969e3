"""
Sandboxes whose commands run under a supervisor: everything that is the same with and without a container.

    <data dir>/sandboxes/<id>/
        sandbox.json         the spec, and the ids that the sandbox has
        disk/upper, home     what commands write; owned by the service on the disk
        disk/work, empty     for the overlay
        commands/<index>/    see `_instructions`
        state/               of the runtime
"""

import asyncio
import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from headrace import linux
from headrace.disk import remove_tree
from headrace.errors import ExecutorUnavailable
from headrace.executor._cgroup import Cgroup
from headrace.executor._follow import (
    Spawner,
    end_supervisor,
    has_ended,
    has_started,
    read_result,
    seconds_since_start,
    supervisor,
    until_end,
)
from headrace.executor._instructions import Instructions, write_aside, write_instructions
from headrace.model.sandbox import CommandResult, KillReason, SandboxCommand, SandboxSpec

#: A supervisor ends a command within 2 s of the wish; after this time it is ended itself.
_KILL_SECONDS = 2.0

Plan = Callable[[SandboxCommand, Path, Path], Instructions]


class SupervisedSandbox:
    """Implements `Sandbox`. `plan` says what its supervisor has to do."""

    def __init__(self, spec: SandboxSpec, directory: Path, spawner: Spawner, plan: Plan, cgroup: str) -> None:
        self.spec = spec
        self._directory = directory
        self._spawner = spawner
        self._plan = plan
        self._cgroup = cgroup
        self._following = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._trees: list[tuple[int, int, int]] = []

    async def run(self, command: SandboxCommand, log: Path) -> CommandResult:
        directory = self._directory / "commands" / str(command.index)
        self._following += 1
        self._quiet.clear()
        try:
            return await self._run(command, log, directory)
        finally:
            self._following -= 1
            if not self._following:
                self._quiet.set()

    async def _run(self, command: SandboxCommand, log: Path, directory: Path) -> CommandResult:
        while (result := read_result(directory)) is None:
            descriptor = supervisor(directory)
            if descriptor is None and has_started(directory) and not has_ended(directory):
                await asyncio.to_thread(self._bury, directory)
                continue
            if descriptor is None:
                descriptor = await asyncio.to_thread(self._start, command, log, directory)
            if descriptor is not None:
                await until_end(descriptor)
        return result

    def _start(self, command: SandboxCommand, log: Path, directory: Path) -> int | None:
        if not self._directory.is_dir():
            raise ExecutorUnavailable(f"the sandbox {self.spec.id} is closed")
        directory.mkdir(parents=True, exist_ok=True)
        write_instructions(directory, self._plan(command, directory, log))
        return self._spawner.start(directory)

    def _bury(self, directory: Path) -> None:
        """The supervisor was killed. What it has left behind goes, and the command has an end."""
        seconds = seconds_since_start(directory)
        Cgroup(self._cgroup).kill(_KILL_SECONDS)
        Cgroup(self._cgroup).remove()
        if directory.is_dir() and not has_ended(directory):
            result = CommandResult(killed_by=KillReason.LOST, seconds=seconds)
            write_aside(directory / "exit.json", result.model_dump_json().encode())

    async def kill(self, reason: KillReason) -> None:
        await asyncio.to_thread(self._kill, reason)

    def _kill(self, reason: KillReason) -> None:
        for directory in self._commands():
            if not has_ended(directory):
                end_supervisor(directory, reason, _KILL_SECONDS)
                if has_started(directory) and not has_ended(directory):
                    self._bury(directory)

    def _commands(self) -> list[Path]:
        try:
            return list((self._directory / "commands").iterdir())
        except FileNotFoundError:
            return []

    def open_tree(self) -> int:
        descriptor = open_layers([self._directory / "disk" / "upper", *self.spec.layers])
        about = os.fstat(descriptor)
        self._trees.append((descriptor, about.st_dev, about.st_ino))
        return descriptor

    def take(self, path: str, into: Path) -> bool:
        return take(self._directory / "disk" / "upper", path, into)

    async def close(self) -> None:
        await asyncio.to_thread(self._kill, KillReason.CANCELLED)
        # `run` still has to read how its command ended.
        await self._quiet.wait()
        await asyncio.to_thread(self._remove)

    def _remove(self) -> None:
        # Deleting what an open tree shows would empty it under its reader's hands: then `sweep` does it later.
        trash = set_aside(self._directory)
        if trash and not any(_is_open(*tree) for tree in self._trees):
            remove_tree(trash)


def make_sandbox(
    root: Path, spec: SandboxSpec, about: Callable[[], dict[str, object]]
) -> tuple[Path, dict[str, object]]:
    """The directory of a sandbox and what is written in it: made, or found."""
    directory = root / spec.id
    if os.sep in spec.id or spec.id.startswith("."):
        raise ExecutorUnavailable(f"{spec.id!r} can't be the name of a sandbox")
    with suppress(FileNotFoundError):
        return directory, json.loads((directory / "sandbox.json").read_bytes())
    aside = root / f".making-{secrets.token_hex(6)}"
    for name in ("disk/upper", "disk/home", "disk/work", "disk/empty", "commands", "state"):
        (aside / name).mkdir(parents=True)
    given = about()
    (aside / "sandbox.json").write_text(json.dumps(given))
    try:
        aside.rename(directory)
    except OSError:
        # Somebody else has made it meanwhile.
        remove_tree(aside)
        return directory, json.loads((directory / "sandbox.json").read_bytes())
    return directory, given


def sandboxes(root: Path) -> list[str]:
    try:
        return [entry.name for entry in root.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []


def discard_directory(directory: Path, end: Callable[[Path], None]) -> None:
    """End the sandbox in `directory` and remove it; and what an interrupted removal has set aside."""
    if directory.exists():
        end(directory)
        set_aside(directory)
    with suppress(FileNotFoundError):
        for entry in list(directory.parent.glob(".removed-*")):
            remove_tree(entry)


def set_aside(directory: Path) -> Path | None:
    """Free the name at once; deleting takes its time. None when there is nothing (any more)."""
    trash = directory.with_name(f".removed-{secrets.token_hex(6)}")
    try:
        directory.rename(trash)
    except FileNotFoundError:
        return None
    return trash


def open_layers(layers: Sequence[Path]) -> int:
    """A directory descriptor that shows the layers over each other, the topmost first. Nothing is mounted anywhere."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    descriptors = [os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for layer in layers]
    try:
        if len(descriptors) == 1:
            return os.open(layers[0], flags)
        # By descriptor: a path may be too long for an option, or hold a character that separates layers.
        lower = ":".join(f"/proc/self/fd/{descriptor}" for descriptor in descriptors)
        merged = linux.new_mount("overlay", [("lowerdir", lower)], linux.MOUNT_ATTR_RDONLY)
        try:
            return os.open(".", flags, dir_fd=merged)
        finally:
            os.close(merged)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def take(top: Path, path: str, into: Path) -> bool:
    """Rename `path` below `top` to `into`. Follows no link that a command may have made. False when it isn't there."""
    parent, _, name = path.strip("/").rpartition("/")
    root = os.open(top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            beneath = linux.RESOLVE_BENEATH | linux.RESOLVE_NO_SYMLINKS
            directory = linux.open_beneath(root, parent or ".", os.O_PATH | os.O_DIRECTORY, resolve=beneath)
        except OSError:
            return False
        try:
            mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                return False
            _move(name, directory, into)
        except FileNotFoundError:
            return False
        finally:
            os.close(directory)
    finally:
        os.close(root)
    # An overlay's note that nothing below shines through; in a layer of its own it would hide the layers below.
    with suppress(OSError):
        os.removexattr(into, "trusted.overlay.opaque", follow_symlinks=False)
    return True


def _move(name: str, directory: int, into: Path) -> None:
    try:
        os.rename(name, into, src_dir_fd=directory)
    except OSError:
        # An overlay can't rename what lies below; here it can only mean another file system.
        shutil.move(f"/proc/self/fd/{directory}/{name}", into)


def _is_open(descriptor: int, device: int, inode: int) -> bool:
    with suppress(OSError):
        about = os.fstat(descriptor)
        return (about.st_dev, about.st_ino) == (device, inode)
    return False
