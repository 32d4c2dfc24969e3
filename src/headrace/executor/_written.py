"""What commands wrote: reading it together with the layers below, and taking parts of it away."""

import os
import shutil
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from headrace import linux
from headrace.executor._overlay import merged_directory


def open_layers(layers: Sequence[Path], merge: Callable[[Sequence[str]], int] = merged_directory) -> int:
    """A directory descriptor that shows the layers over each other, the topmost first. Nothing is mounted anywhere."""
    if len(layers) == 1:
        return os.open(layers[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return merge([str(layer) for layer in layers])


def take(top: Path, path: str, into: Path) -> bool:
    """
    Move the directory or file `path` below `top` to `into`. False when it isn't there. Follows no link: what a command made
    can't lead to another place.
    """
    parent, _, name = path.strip("/").rpartition("/")
    root = os.open(top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        beneath = linux.RESOLVE_BENEATH | linux.RESOLVE_NO_SYMLINKS
        directory = linux.open_beneath(root, parent or ".", os.O_PATH | os.O_DIRECTORY, resolve=beneath)
    except OSError:
        return False
    finally:
        os.close(root)
    try:
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            return False
        _move(name, directory, into)
    except FileNotFoundError:
        return False
    finally:
        os.close(directory)
    # An overlay's note that nothing below shines through: as a layer of its own, it would hide the layers below.
    for note in ("trusted.overlay.opaque", "user.overlay.opaque"):
        with suppress(OSError):
            os.removexattr(into, note, follow_symlinks=False)
    return True


def _move(name: str, directory: int, into: Path) -> None:
    try:
        os.rename(name, into, src_dir_fd=directory)
    except FileNotFoundError:
        raise
    except PermissionError:
        # Who is not root needs the right to write to a directory that is moved, and a command may have given it up.
        mode = stat.S_IMODE(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
        os.chmod(name, mode | stat.S_IRWXU, dir_fd=directory)
        os.rename(name, into, src_dir_fd=directory)
        into.chmod(mode)
    except OSError:
        # Another file system.
        shutil.move(f"/proc/self/fd/{directory}/{name}", into)
