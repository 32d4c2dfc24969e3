"""
A sandbox's root file system, put together in a mount namespace that only its supervisor has.

Nothing is mounted where anybody else could see it, so nothing can be left mounted: the mounts are gone with the
processes in the namespace. Standard library only: the supervisor uses it.
"""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from headrace import linux
from headrace.executor._namespace import Ground, enter_own_namespace

#: Where root puts roots together. Build users must reach it, and they can't look into a data directory of mode 0700.
STAGE = "/run/headrace-sandbox"

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
    #: Where it is put together; see `root_at`.
    stage: str
    #: User and group that own files on the disk: the service's. None when they are the build user's ids already.
    owner: tuple[int, int] | None
    #: An id of this machine that nobody else has: on the disk it owns what an overlay makes for itself.
    first_id: int
    #: The ids of root and of the build user of the sandbox where its supervisor is.
    root_user: int
    build_user: int
    working_directory: str
    home: str
    tmp_bytes: int
    tmp_files: int


_UNUSED = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC


def root_at(stage: str) -> str:
    return f"{stage}/root"


def network_at(stage: str) -> str:
    """A file that stands for a network namespace which was made beforehand."""
    return f"{stage}/network"


def launch_at(stage: str) -> Path:
    """The directory of the runtime's start."""
    return Path(stage, "launch")


def private_mounts(ground: Ground) -> None:
    """Leave the mounts that others see. What is unmounted outside is still unmounted here."""
    if ground.given is None:
        linux.unshare(linux.CLONE_NEWNS)
    else:
        enter_own_namespace(ground.given)
    linux.mount("none", "/", "none", linux.MS_REC | linux.MS_SLAVE)
    linux.mount("headrace", ground.stage, "tmpfs", _UNUSED, "mode=711,size=8m")


def hide_mount(path: str) -> None:
    """Put an empty place where a mount is. Needs `private_mounts` before."""
    with suppress(OSError):  # only root may take away what was mounted outside
        linux.unmount(path)
    # crun writes below the place even when nothing is mounted there, and would leave it to everybody.
    linux.mount("headrace", path, "tmpfs", _UNUSED, "mode=700,size=1m")


def make_root(plan: RootPlan, namespace: linux.NewUserNamespace | None = None) -> None:
    """Put the root together. Needs `private_mounts` before. `namespace` is used up."""
    names = _names(plan, namespace)
    root = root_at(plan.stage)
    try:
        # Tools refuse to work below directories of strangers, and ids without a name in the sandbox are strangers: the base
        # system is the build user's, who can't write to it, and /tmp is root's.
        Path(root).mkdir(mode=0o755)
        _attach(plan.base, root, _READ_ONLY, names)
        _working_directory(plan, names)
        _attach(f"{plan.stage}/disk/home", root + plan.home, _PLAIN)
    finally:
        if names is not None:
            os.close(names)
    _tools(plan)
    memory = linux.MS_NOSUID | linux.MS_NODEV
    ids = f"uid={plan.root_user},gid={plan.root_user}"
    linux.mount(
        "tmp", f"{root}/tmp", "tmpfs", memory, f"mode=1777,size={plan.tmp_bytes},nr_inodes={plan.tmp_files},{ids}"
    )
    if plan.ca_bundle:
        _attach(plan.ca_bundle, f"{root}/etc/ssl/certs/ca-certificates.crt", _READ_ONLY)


def _names(plan: RootPlan, namespace: linux.NewUserNamespace | None) -> int | None:
    """What turns the owner on the disk into the build user."""
    if plan.owner is None:
        return None
    # An overlay makes files of its own as root: those get the ids of the sandbox's root.
    users, groups = (
        [linux.IdRange(owner, plan.build_user, 1), linux.IdRange(plan.first_id, 0, 1)] for owner in plan.owner
    )
    return namespace.with_ids(users, groups) if namespace else linux.user_namespace_with(users, groups)


def _working_directory(plan: RootPlan, names: int | None) -> None:
    """
    Layers below, what is written on top. The mounts turn the owner on the disk into the build user, so that a layer that
    one sandbox wrote is a layer of the next one, which has other ids.
    """
    stage = plan.stage
    Path(f"{stage}/disk").mkdir(mode=0o755)
    _attach(plan.disk, f"{stage}/disk", _PLAIN, names)
    lower = []
    for number, layer in enumerate(plan.layers or [f"{plan.disk}/empty"]):
        lower.append(f"{stage}/{number}")
        Path(lower[-1]).mkdir(mode=0o755)
        _attach(layer, lower[-1], _READ_ONLY, names)
    # volatile: a sandbox that loses power is thrown away, so an fsync in it would only cost time.
    options = f"lowerdir={':'.join(lower)},upperdir={stage}/disk/upper,workdir={stage}/disk/work,volatile"
    if plan.owner is None:
        # An overlay keeps notes on the disk, by default under names that only the machine's root may use.
        options += ",userxattr"
    target = root_at(stage) + plan.working_directory
    linux.mount("app", target, "overlay", linux.MS_NOSUID | linux.MS_NODEV, options)


def _tools(plan: RootPlan) -> None:
    if not plan.tools:
        return
    place = f"{plan.stage}/tools"
    Path(place).mkdir(mode=0o755)
    for name, source in plan.tools.items():
        Path(place, name).mkdir(mode=0o755)
        _attach(source, f"{place}/{name}", _READ_ONLY)
    _put(linux.clone_mount(place, recursive=True), f"{root_at(plan.stage)}/opt/headrace", _READ_ONLY, None)


def _attach(source: str, target: str, flags: int, names: int | None = None) -> None:
    """Mount `source`, a file or a directory, at `target`."""
    _put(linux.clone_mount(source), target, flags, names)


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
