"""Says when something happened in a directory, and where. Nothing is missed: what can't be told exactly counts as everything."""

import queue
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

# Documented as "Rust backend direct usage".
from watchfiles._rust_notify import RustNotify

#: Milliseconds. A save is one or two operations; the rest of a burst is waited for below.
_STEP = 5
_DEBOUNCE = 50
_TIMEOUT = 5000
#: More paths than a save touches: a branch is switched, a formatter runs. The change is complete when it is quiet.
_MANY = 8
_QUIET_SECONDS = 0.06
_MANY_SECONDS = 1.0
_POLL_SECONDS = 0.3
_SIGNAL_SECONDS = 0.5

#: Where the kernel hears only of what this machine does itself.
_REMOTE = ("nfs", "cifs", "smb", "9p", "vboxsf", "drvfs", "virtiofs", "prl_fs", "fuse", "afs", "ceph", "glusterfs")


class Watcher:
    """
    Watches the given directories, not those below them: what is ignored, `node_modules` above all, would cost a watch for each
    of its directories.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._heard: queue.SimpleQueue[set[str] | None] = queue.SimpleQueue()
        self._directories: frozenset[str] = frozenset()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        #: Why nobody tells us of changes, so that we have to look again and again.
        self.polls = _remote(root)
        self.poll_seconds = _POLL_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def watch(self, directories: Collection[str]) -> bool:
        """Watch these from now on. True when the set is new: then what happened before this call is not known."""
        wanted = frozenset(directories)
        if self.polls or wanted == self._directories:
            return False
        self._end()
        self._directories, self._stop = wanted, threading.Event()
        places = [self._root / directory for directory in wanted]
        try:
            notify = RustNotify([str(place) for place in places if place.is_dir()], False, False, 0, False, True)
        except (OSError, RuntimeError) as exc:
            self._directories = frozenset()
            # A directory that went meanwhile is one thing; too few watches of the kernel is another.
            if all(place.is_dir() for place in places):
                self.polls = str(exc)
            self._heard.put(None)
            return True
        self._thread = threading.Thread(target=self._run, args=(notify, self._stop), name="watcher", daemon=True)
        self._thread.start()
        return True

    def wait(self) -> set[str] | None:
        """
        The next paths, relative to the root, once a burst of them is over. None: look everywhere.

        Raises KeyboardInterrupt at Ctrl-C, as any wait.
        """
        if self.polls:
            time.sleep(self.poll_seconds)
            return None
        paths = self._next()
        began = time.monotonic()
        while paths is not None:
            many = len(paths) >= _MANY and time.monotonic() - began < _MANY_SECONDS
            try:
                more = self._heard.get(timeout=_QUIET_SECONDS if many else 0)
            except queue.Empty:
                break
            paths = paths | more if more is not None else None
        return paths

    def _next(self) -> set[str] | None:
        while True:
            # For ever would be too long: a signal that comes in the moment before the wait does not end it.
            with suppress(queue.Empty):
                return self._heard.get(timeout=_SIGNAL_SECONDS)

    def wake(self) -> None:
        """Make a `wait` end, from another thread: look everywhere."""
        self._heard.put(None)

    def _end(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()
            self._thread = None

    def _run(self, notify: RustNotify, stop: threading.Event) -> None:
        with notify:
            while not stop.is_set():
                heard = notify.watch(_DEBOUNCE, _STEP, _TIMEOUT, stop)
                if isinstance(heard, set):
                    self._heard.put({self._relative(path) for _, path in heard})

    def _relative(self, path: str) -> str:
        below = Path(path).relative_to(self._root).as_posix()
        return "" if below == "." else below


def _remote(root: Path) -> str | None:
    """The kind of the file system, when it is one that other machines change too."""
    best, kind = -1, ""
    try:
        mounts = Path("/proc/self/mounts").read_text()
    except OSError:
        return None
    for line in mounts.splitlines():
        _, place, its_kind, *_ = line.split(" ")
        place = place.replace("\\040", " ")
        if (root == Path(place) or Path(place) in root.parents) and len(place) >= best:
            best, kind = len(place), its_kind
    return f"file system {kind}" if kind.startswith(_REMOTE) and kind != "fusectl" else None
