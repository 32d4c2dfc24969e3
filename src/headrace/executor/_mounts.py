"""
A sandbox's root file system, put together in a mount namespace that only its supervisor has.

Nothing is mounted where anybody else could see it, so nothing can be left mounted: the mounts are gone with the
processes in the namespace. Standard library only: the supervisor uses it.
"""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace import linux

#: Where the root is put together. Build users must reach it, and they can't look into a data directory of mode 0700.
STAGE = "/run/headrace-sandbox"
ROOT = f"{STAGE}/root"
NETWORK = f"{STAGE}/network"

_PLAIN = linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV
_READ_ONLY = _PLAIN | linux.MOUNT_ATTR_RDONLY


@dataclass(frozen=True, kw_only=True)
class RootPlan:
    """What a root is made of. Paths are the machine's."""

    base: str
    #: Lower layers of the working directory, the topmost first.
    layers: Sequence[str]
    #: Holds `upper` (what commands write to the working directory) and `home`, both owned by `owner`.
    disk: str
    #: Directories below `/opt/headrace`, by name.
    tools: dict[str, str]
    #: The machine's CA bundle.
    ca_bundle: str | None
    #: User and group that own files on the disk: the service's.
    owner: tuple[int, int]
    #: An id of this machine that nobody else has: on the disk it owns what an overlay makes for itself.
    first_id: int
    #: The ids on this machine of root and of the build user of the sandbox.
    root_user: int
    build_user: int
    working_directory: str
    home: str
    tmp_bytes: int
    tmp_files: int


_UNUSED = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC


def private_mounts() -> None:
    """Leave the mounts that others see. What is unmounted outside is still unmounted here."""
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", "none", linux.MS_REC | linux.MS_SLAVE)
    linux.mount("headrace", STAGE, "tmpfs", _UNUSED, "mode=711,size=1m")


def hide_mount(path: str) -> None:
    """Put an empty place where a mount is. Needs `private_mounts` before."""
    linux.unmount(path)
    # crun writes below the place even when nothing is mounted there, and would leave it to everybody.
    linux.mount("headrace", path, "tmpfs", _UNUSED, "mode=700,size=1m")


def make_root(plan: RootPlan, namespace: linux.NewUserNamespace | None = None) -> None:
    """Put the root together at `ROOT`. Needs `private_mounts` before. `namespace` is used up."""
    # The build user's files are the service's on the disk. An overlay makes files of its own as root: those get the ids of the
    # sandbox's root.
    users, groups = (
        [linux.IdRange(owner, plan.build_user, 1), linux.IdRange(plan.first_id, 0, 1)] for owner in plan.owner
    )
    names = namespace.with_ids(users, groups) if namespace else linux.user_namespace_with(users, groups)
    try:
        # Tools refuse to work below directories of strangers, and ids without a name in the sandbox are strangers: the base
        # system is the build user's, who can't write to it, and /tmp is root's.
        _attach(plan.base, ROOT, _READ_ONLY, names)
        _working_directory(plan, names)
        _attach(f"{STAGE}/disk/home", ROOT + plan.home, _PLAIN)
    finally:
        os.close(names)
    _tools(plan.tools)
    memory = linux.MS_NOSUID | linux.MS_NODEV
    ids = f"uid={plan.root_user},gid={plan.root_user}"
    linux.mount(
        "tmp", f"{ROOT}/tmp", "tmpfs", memory, f"mode=1777,size={plan.tmp_bytes},nr_inodes={plan.tmp_files},{ids}"
    )
    if plan.ca_bundle:
        _attach(plan.ca_bundle, f"{ROOT}/etc/ssl/certs/ca-certificates.crt", _READ_ONLY)


def _working_directory(plan: RootPlan, names: int) -> None:
    """
    Layers below, what is written on top. The mounts turn the owner on the disk into the build user, so that a layer that
    one sandbox wrote is a layer of the next one, which has other ids.
    """
    _attach(plan.disk, f"{STAGE}/disk", _PLAIN, names)
    lower = []
    for number, layer in enumerate(plan.layers or [f"{plan.disk}/empty"]):
        lower.append(f"{STAGE}/{number}")
        _attach(layer, lower[-1], _READ_ONLY, names)
    # volatile: a sandbox that loses power is thrown away, so an fsync in it would only cost time.
    options = f"lowerdir={':'.join(lower)},upperdir={STAGE}/disk/upper,workdir={STAGE}/disk/work,volatile"
    linux.mount("app", ROOT + plan.working_directory, "overlay", linux.MS_NOSUID | linux.MS_NODEV, options)


def _tools(tools: dict[str, str]) -> None:
    if not tools:
        return
    Path(f"{STAGE}/tools").mkdir(mode=0o755)
    for name, source in tools.items():
        _attach(source, f"{STAGE}/tools/{name}", _READ_ONLY)
    mount = linux.clone_mount(f"{STAGE}/tools", recursive=True)
    _put(mount, f"{ROOT}/opt/headrace", _READ_ONLY, None)


def _attach(source: str, target: str, flags: int, names: int | None = None) -> None:
    """Mount `source`, a file or a directory, at `target`, which is made when it lies on the stage."""
    mount = linux.clone_mount(source)
    if not target.startswith(f"{ROOT}/"):
        Path(target).mkdir(mode=0o755)
    _put(mount, target, flags, names)


def _put(mount: int, target: str, flags: int, names: int | None) -> None:
    try:
        linux.change_mount(mount, set_flags=flags, user_namespace=names)
        linux.attach_mount(mount, target)
    except OSError as exc:
        if names is not None and exc.errno == errno.EINVAL:
            detail = (
                f"{target}: its file system takes no idmapped mounts; keep the data directory on ext4, xfs or btrfs"
            )
            raise OSError(exc.errno, detail) from exc
        raise
    finally:
        os.close(mount)
