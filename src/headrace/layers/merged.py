"""What a command changed over a layer, as a layer of its own: files that stayed the same are shared with the first, by link."""

import errno
import os
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from headrace.linux import leads_nowhere

#: What an overlay leaves where something below was removed, or hidden.
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


def visible(tree: int, outputs: Iterable[str]) -> frozenset[str]:
    """Every path at and below `outputs` that the directory descriptor `tree` shows. Follows no link."""
    found: set[str] = set()
    for output in outputs:
        try:
            mode = os.stat(output, dir_fd=tree, follow_symlinks=False).st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        found.add(output)
        if stat.S_ISDIR(mode):
            for folder, directories, files, _ in os.fwalk(
                output, dir_fd=tree, follow_symlinks=False, onerror=_unless_closed
            ):
                found.update(f"{folder}/{name}" for name in (*directories, *files))
    return frozenset(found)


def _unless_closed(exc: OSError) -> None:
    """What can't be looked into because of who owns it is left as it is; what was not seen for another reason is not gone."""
    if not leads_nowhere(exc):
        raise exc


def complete(made: Path, base: Path, seen: frozenset[str], outputs: Iterable[str]) -> None:
    """
    Add to `made`, which holds what a command wrote over `base`, everything of `base` that it left as it was. `seen` is what
    it saw at its end. Files of a layer never change, so the same file may be in both.
    """
    for output in outputs:
        if output in seen:
            _tidy(made / output)
            _add(made, base, output, seen)


def _tidy(top: Path) -> None:
    """Remove an overlay's notes about what is below: nothing is, from now on."""
    if not top.is_dir() or top.is_symlink():
        return
    for folder, _, files in os.walk(top, onerror=_unless_closed):
        for name in _OPAQUE:
            with suppress(OSError):
                os.removexattr(folder, name, follow_symlinks=False)
        for name in files:
            path = os.path.join(folder, name)  # noqa: PTH118 - tens of thousands of them
            about = os.lstat(path)
            if stat.S_ISCHR(about.st_mode) and about.st_rdev == 0:
                os.unlink(path)  # noqa: PTH108


def _add(made: Path, base: Path, path: str, seen: frozenset[str]) -> None:
    """The file or directory at `path` of `base`, where `made` has none."""
    try:
        about = (base / path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    waiting = [(path, about)]
    times: list[tuple[str, tuple[int, int]]] = []
    while waiting:
        path, about = waiting.pop()
        source, target = f"{base}/{path}", f"{made}/{path}"
        if not stat.S_ISDIR(about.st_mode):
            if not os.path.lexists(target):
                _share(source, target)
            continue
        if os.path.lexists(target) and not stat.S_ISDIR(os.lstat(target).st_mode):
            continue
        if not os.path.lexists(target):
            os.makedirs(target, stat.S_IMODE(about.st_mode), exist_ok=True)  # noqa: PTH103
            # A package manager looks at them to see whether anything was changed behind its back.
            times.append((target, (about.st_atime_ns, about.st_mtime_ns)))
        with os.scandir(source) as entries:
            below = [(f"{path}/{entry.name}", entry.stat(follow_symlinks=False)) for entry in entries]
        waiting += [one for one in below if one[0] in seen]
    for target, time in reversed(times):
        os.utime(target, ns=time)


def _share(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as exc:
        if exc.errno not in (errno.EMLINK, errno.EXDEV, errno.EPERM):
            raise
        shutil.copy2(source, target, follow_symlinks=False)
