"""
Layers on this machine, one root for each kind. Any number of processes may use a root at once.

Saving is a rename, so an entry is visible whole or not at all. A pinned layer is never deleted: whoever mounts one holds its
lock (`lock` beside `tree`, shared) as long as it is mounted; a process that dies holds nothing. Every method blocks, most for
microseconds; `commit`, `remove`, `prune`, `sweep` and `settle` look at many files, so call those in a thread.
"""

import asyncio
import errno
import fcntl
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

from headrace.disk import locked, measure, remove_tree, spread_directories, storage_errors, sync_file_system
from headrace.errors import NotFound, is_short
from headrace.layers._content import content_digest
from headrace.layers._entry import (
    LOCK,
    RECORD,
    TREE,
    Layer,
    Record,
    layer_of,
    mark_synced,
    read_record,
    stamp,
    synced_content,
    write_record,
)
from headrace.linux import this_boot
from headrace.model.digest import Digest, hex_of
from headrace.model.plan import CacheKey

__all__ = ["Layer", "Layers", "pinned"]

_TAKEN = {errno.ENOTEMPTY, errno.EEXIST}
#: The first and the longest wait between two looks.
_TURN_SECONDS = 0.002, 0.05
#: Whoever has a turn shows this often that it goes on.
_BEAT_SECONDS = 1.0
#: One that has not shown it for so long stands still, and is waited for no longer.
_STILL_SECONDS = 10.0
#: What was found may be cleared away before it is pinned, once or twice.
_PIN_ATTEMPTS = 5


class Layers:
    def __init__(self, root: Path, *, boot: str | None = None) -> None:
        self._root = root
        self._prefix = f"{root}/"
        self._making = root / ".making"
        self._removed = root / ".removed"
        self._boot = boot or this_boot()
        #: Name -> (inode and time of the record, time of the last use, the layer), so that finding one again costs two `stat`.
        self._known: dict[str, tuple[tuple[int, int], int, Layer]] = {}

    def find(self, digest: Digest) -> Layer | None:
        """The layer with this key. It may be removed at any time unless it is pinned."""
        return self._find(hex_of(digest))

    def all(self) -> list[Layer]:
        """Every layer, in no order."""
        try:
            names = os.listdir(self._root)  # noqa: PTH208
        except FileNotFoundError:
            return []
        return [layer for name in names if len(name) == 64 and (layer := self._find(name))]

    def commit(
        self,
        key: CacheKey,
        directory: Path,
        *,
        made_by: str,
        seconds: float,
        scope: str,
        begun_with: Digest | None = None,
    ) -> Layer:
        """
        Make `directory` a layer, by rename: it must be on the file system of the layers, and is gone afterwards. When another
        one was faster, its layer is returned and `directory` is removed.
        """
        with storage_errors(), self._new_entry() as entry:
            directory.rename(entry / TREE)
            taken, files = measure(entry / TREE)
            record = Record(
                key=key,
                bytes=taken,
                files=files,
                made_by=made_by,
                seconds=seconds,
                scope=scope,
                begun_with=begun_with,
                created_at=stamp(time.time_ns()),
                boot=self._boot,
            )
            write_record(entry, record)
            return self._publish(entry, hex_of(key.digest))

    @contextmanager
    def pin(self, digest: Digest) -> Iterator[Layer]:
        """Keep the layer from being deleted. Counts as a use. Raises NotFound."""
        name = hex_of(digest)
        descriptor = self._hold(name)
        try:
            self.touch(digest)
            layer = self._find(name)
            if layer is None:
                raise NotFound(f"there is no layer {digest}")
            yield layer
        finally:
            os.close(descriptor)

    def touch(self, digest: Digest) -> None:
        """Remember that the layer was used now."""
        with suppress(FileNotFoundError):
            os.utime(f"{self._prefix}{hex_of(digest)}/{LOCK}")

    def remove(self, digest: Digest) -> bool:
        """
        Nobody finds the layer any more. Its files go at once; those of a pinned one stay where they are, until a `sweep` after
        the last pin. False when there is none.
        """
        return self._remove(hex_of(digest), also_pinned=True)

    def remove_made_by(self, build_id: str) -> list[Layer]:
        """Remove every layer that this build made; those that were removed."""
        return [layer for layer in self.all() if layer.made_by == build_id and self.remove(layer.key.digest)]

    def prune(self, budget: int, keep: Collection[Digest] = ()) -> list[Layer]:
        """
        Remove the least recently used layers until the rest takes at most `budget` bytes; those that were removed. Pinned ones
        and `keep` stay, also when they alone are over the budget.
        """
        layers = sorted(self.all(), key=lambda layer: layer.used_at)
        total = sum(layer.bytes for layer in layers)
        removed: list[Layer] = []
        for layer in layers:
            if total <= budget:
                break
            if layer.key.digest not in keep and self._remove(hex_of(layer.key.digest), also_pinned=False):
                total -= layer.bytes
                removed.append(layer)
        return removed

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A new empty directory to make a layer in. What is left of it goes at the end, also after a crash by `sweep`."""
        with storage_errors(), self._new_entry() as entry:
            (entry / TREE).mkdir()
            yield entry / TREE

    @asynccontextmanager
    async def turn(self, digest: Digest) -> AsyncIterator[None]:
        """
        Wait for one's turn to make this layer, between tasks and processes: look again whether it is there meanwhile. Making
        it without a turn is safe too, only wasteful, so nobody waits for a process that stands still.
        """
        self._make_roots()
        path = self._making / f"{hex_of(digest)}.lock"
        pause, seen, since = _TURN_SECONDS[0], 0, time.monotonic()
        while True:
            with locked(path) as mine:
                if mine:
                    beat = asyncio.create_task(_beat(path))
                    try:
                        yield
                    finally:
                        beat.cancel()
                    return
            with suppress(FileNotFoundError):
                if (now := path.stat().st_mtime_ns) != seen:
                    seen, since = now, time.monotonic()
            if time.monotonic() - since > _STILL_SECONDS:
                yield
                return
            # Those who only look are done soon, those who make something take long.
            await asyncio.sleep(pause)
            pause = min(2 * pause, _TURN_SECONDS[1])

    def sweep(self) -> None:
        """
        Delete what processes that are gone have left: unfinished and removed layers, and damaged ones. To be called when a
        process starts; harmless at any time.
        """
        for directory in (self._making, self._removed):
            for name in _names(directory):
                _delete_unless_held(directory / name)
        for name in _names(self._root):
            if len(name) == 64 and self._find(name) is None:
                self._remove(name, also_pinned=False)

    def settle(self) -> int:
        """
        Flush layers that are not known to be on disk, so that they outlive a power cut; how many. Commits don't wait for the
        disk: without this a layer is lost, never damaged, when the machine goes down.
        """
        waiting = [layer.path.parent for layer in self.all() if synced_content(layer.path.parent) is None]
        if waiting:
            sync_file_system(self._root)
        for entry in waiting:
            with suppress(FileNotFoundError):
                mark_synced(entry, content_digest(entry / TREE))
        if waiting:
            sync_file_system(self._root)
        return len(waiting)

    def damaged(self, layer: Layer) -> str | None:
        """What is wrong with the files of a layer, in words; None when they are as they were. Reads all of them."""
        try:
            taken, files = measure(layer.path)
            before = synced_content(layer.path.parent)
            now = content_digest(layer.path) if before else None
        except OSError as exc:
            if is_short(exc):
                raise
            return f"a file can't be read: {exc}"
        if (taken, files) != (layer.bytes, layer.files):
            return f"{files} files of {taken} bytes, made with {layer.files} of {layer.bytes}"
        return "a file has other bytes than when it was made" if now != before else None

    def _find(self, name: str) -> Layer | None:
        entry = self._prefix + name
        try:
            made, used = os.stat(f"{entry}/{RECORD}"), os.stat(f"{entry}/{LOCK}")  # noqa: PTH116
        except FileNotFoundError:
            self._known.pop(name, None)
            return None
        identity = (made.st_ino, made.st_ctime_ns)
        known = self._known.get(name)
        if known and known[0] == identity and known[1] == used.st_mtime_ns:
            return known[2]
        if known and known[0] == identity:
            layer = known[2].model_copy(update={"used_at": stamp(used.st_mtime_ns)})
        else:
            record = read_record(entry, self._boot)
            if record is None or hex_of(record.key.digest) != name:
                return None
            layer = layer_of(record, Path(entry, TREE), stamp(used.st_mtime_ns))
        self._known[name] = (identity, used.st_mtime_ns, layer)
        return layer

    @contextmanager
    def _new_entry(self) -> Iterator[Path]:
        self._make_roots()
        with ExitStack() as held:
            entry = self._claim(held)
            try:
                yield entry
            finally:
                # Nothing is there any more when it was published.
                self._move_aside(entry)

    def _claim(self, held: ExitStack) -> Path:
        """A new directory whose lock is held, so that `sweep` sees that its maker lives. It may be swept in between: again."""
        while True:
            entry = self._making / secrets.token_hex(16)
            entry.mkdir()
            with suppress(FileNotFoundError):
                if held.enter_context(locked(entry / LOCK)) and (entry / LOCK).exists():
                    return entry

    def _move_aside(self, entry: Path) -> None:
        aside = self._removed / secrets.token_hex(16)
        with suppress(FileNotFoundError):
            entry.rename(aside)
            remove_tree(aside)

    def _make_way(self, name: str) -> None:
        """What has the name is damaged, or was removed while it was pinned. Those who have it mounted keep its files."""
        aside = self._removed / secrets.token_hex(16)
        with suppress(FileNotFoundError):
            (self._root / name).rename(aside)
            _delete_unless_held(aside)

    def _publish(self, entry: Path, name: str) -> Layer:
        while True:
            try:
                entry.rename(self._root / name)
            except OSError as exc:
                if exc.errno not in _TAKEN:
                    raise
                if winner := self._find(name):
                    return winner
                self._make_way(name)
                continue
            if layer := self._find(name):
                return layer
            raise NotFound(f"the layer {name} was removed while it was saved")

    def _hold(self, name: str) -> int:
        """A descriptor that holds the layer's lock."""
        path = f"{self._prefix}{name}/{LOCK}"
        while True:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                raise NotFound(f"there is no layer sha256:{name}") from None
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                # It may have been removed, or replaced, between the two calls.
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):  # noqa: PTH116
                    return descriptor
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _remove(self, name: str, *, also_pinned: bool) -> bool:
        """Renamed aside, or without its record: nobody finds or pins it from then on."""
        self._make_roots()
        aside = self._removed / secrets.token_hex(16)
        with suppress(FileNotFoundError), locked(self._root / name / LOCK) as free:
            if not free:
                if also_pinned:
                    # Somebody may be about to mount it, and knows its path.
                    (self._root / name / RECORD).unlink()
                    self._known.pop(name, None)
                return also_pinned
            (self._root / name).rename(aside)
        if not aside.exists():
            return False
        self._known.pop(name, None)
        _delete_unless_held(aside)
        return True

    def _make_roots(self) -> None:
        self._making.mkdir(parents=True, exist_ok=True)
        spread_directories(self._making)
        self._removed.mkdir(exist_ok=True)


async def pinned(layers: Layers, have: Callable[[], Awaitable[Layer]], pins: AsyncExitStack) -> Layer:
    """
    What `have` finds or makes, which stays until `pins` is closed. Raises what `have` does, and NotFound when it is cleared away
    as often as it is made.
    """
    for _ in range(_PIN_ATTEMPTS - 1):
        layer = await have()
        with suppress(NotFound):
            return pins.enter_context(layers.pin(layer.key.digest))
    return pins.enter_context(layers.pin((await have()).key.digest))


async def _beat(path: Path) -> None:
    while True:
        with suppress(FileNotFoundError):
            os.utime(path)
        await asyncio.sleep(_BEAT_SECONDS)


def _names(directory: Path) -> list[str]:
    with suppress(FileNotFoundError):
        return os.listdir(directory)  # noqa: PTH208
    return []


def _delete_unless_held(path: Path) -> None:
    """Delete what was moved aside or never finished, unless a process holds its lock."""
    if not path.is_dir():
        lock = path
    elif not (lock := path / LOCK).exists():
        _delete_unlocked(path)
        return
    with suppress(FileNotFoundError), locked(lock) as free:
        if free:
            remove_tree(path)


def _delete_unlocked(path: Path) -> None:
    """An entry without a lock is either half deleted, or so new that it is empty."""
    if path.parent.name == ".removed":
        remove_tree(path)
        return
    with suppress(OSError):
        path.rmdir()
