"""
The base root file system of every sandbox: a small Debian, made once and shared read-only.

Packages are extracted, not installed: no maintainer script runs, so making it changes nothing else on this machine. What
such scripts would have done and builds need is done here.
"""

import hashlib
import os
import secrets
import shutil
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from headrace.disk import locked, remove_tree
from headrace.errors import ExecutorUnavailable
from headrace.executor._spec import BUILD_USER, CA_BUNDLE, HOME, INIT

SUITE = "bookworm"
PACKAGES = [
    "base-files",
    "bash",
    "bzip2",
    "ca-certificates",
    "coreutils",
    "dash",
    "debianutils",
    "diffutils",
    "findutils",
    "git",
    "grep",
    "gzip",
    "hostname",
    "libatomic1",
    "libc-bin",
    "libstdc++6",
    "make",
    "mawk",
    "openssl",
    "patch",
    "procps",
    "python3",
    "python3-minimal",
    "sed",
    "tar",
    "unzip",
    "util-linux",
    "xz-utils",
    "zip",
    "zstd",
]

#: Raise it when `_finish` changes.
_RECIPE = 2
_MERGED_USR = Path("/usr/share/mmdebstrap/hooks/merged-usr")
_LINK_USR = 'for d in bin sbin lib lib32 lib64 libx32; do mkdir -p "$1/usr/$d"; ln -s "usr/$d" "$1/$d"; done'
_UNNEEDED = [
    "boot",
    "etc/apt",
    "etc/cron.daily",
    "etc/fstab",
    "etc/init.d",
    "etc/logrotate.d",
    "games",
    "media",
    "mnt",
    "root",
    "srv",
    "usr/games",
    "usr/share/bash-completion",
    "usr/share/bug",
    "usr/share/doc",
    "usr/share/i18n",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/pixmaps",
    "usr/share/polkit-1",
    "usr/lib/systemd",
    "usr/src",
    "usr/sbin/policy-rc.d",
    "var",
]
_DIRECTORIES = [
    "app",
    "dev",
    "home/builder",
    "opt/headrace",
    "proc",
    "run",
    "sys",
    "tmp",
    "usr/lib/headrace",
    "usr/local/bin",
    "var",
]
_LINKS = {
    "usr/bin/sh": "dash",
    "usr/bin/awk": "mawk",
    "usr/bin/which": "which.debianutils",
    "etc/mtab": "/proc/self/mounts",
    "var/tmp": "/tmp",
    "var/run": "/run",
}
_FILES = {
    "etc/passwd": (
        "root:x:0:0:root:/root:/usr/sbin/nologin\n"
        f"builder:x:{BUILD_USER}:{BUILD_USER}:builder:{HOME}:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    ),
    "etc/group": f"root:x:0:\nbuilder:x:{BUILD_USER}:\nnogroup:x:65534:\n",
    # With `::1`, servers that listen on `localhost` would listen on that alone, and be found by nobody who asks 127.0.0.1.
    "etc/hosts": "127.0.0.1 localhost sandbox\n",
    "etc/hostname": "sandbox\n",
    "etc/resolv.conf": "",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    # A sandbox has one user, who owns the working directory; layers may look like somebody else's.
    "etc/gitconfig": "[safe]\n\tdirectory = *\n",
}


def base_system_name() -> str:
    """What the base system is made of, as a short name: part of cache keys."""
    digest = hashlib.sha256(f"{SUITE} {' '.join(PACKAGES)} {_RECIPE}".encode()).hexdigest()
    return f"debian-{SUITE}-{digest[:12]}"


def has_base_system(data_dir: Path) -> bool:
    return (data_dir / "base" / base_system_name()).is_dir()


def provide_base_system(data_dir: Path, mirror: str) -> Path:
    """The root directory, made when it isn't there: some 15 s. Raises ExecutorUnavailable."""
    root = data_dir / "base" / base_system_name()
    if root.is_dir():
        return root
    root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = root.parent / f".{root.name}.lock"
    while not root.is_dir():
        with locked(lock) as mine:
            if mine and not root.is_dir():
                _make(root, mirror)
            elif not mine:
                time.sleep(0.2)
    return root


def _make(root: Path, mirror: str) -> None:
    for left in root.parent.glob(f".{root.name}.making-*"):
        remove_tree(left)
    aside = root.with_name(f".{root.name}.making-{secrets.token_hex(4)}")
    try:
        _extract(aside, mirror)
        _finish(aside)
        _listing(root).write_text(_listed(aside))
        aside.rename(root)
    finally:
        remove_tree(aside)


def put_aside_if_damaged(root: Path) -> bool:
    """
    Whether the base system is not there as it was made: files are gone, or of another size. It has no name then, so that it is
    made again; what still runs in it keeps what is left until the next one is damaged.
    """
    if _is_whole(root):
        return False
    for older in root.parent.glob(f".{root.name}.damaged-*"):
        remove_tree(older)
    with suppress(FileNotFoundError):
        root.rename(root.with_name(f".{root.name}.damaged-{secrets.token_hex(4)}"))
    return True


def _is_whole(root: Path) -> bool:
    """As far as can be told: what can't be read for want of descriptors is not damaged."""
    listing = _listing(root)
    try:
        # One that was made before this was written down is taken for whole as long as it is there.
        return root.is_dir() and (not listing.exists() or listing.read_text() == _listed(root))
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _listing(root: Path) -> Path:
    return root.with_name(f".{root.name}.files")


def _listed(root: Path) -> str:
    """Of every file its path, mode and size, as one digest: some tenths of a second."""
    found = hashlib.sha256()
    for folder, folders, names in os.walk(root, onerror=_fail):
        folders.sort()
        # Links are files of it, whatever they lead to on this machine.
        for name in sorted([*names, *(name for name in folders if Path(folder, name).is_symlink())]):
            about = Path(folder, name).lstat()
            place = Path(folder, name).relative_to(root)
            found.update(f"{place} {about.st_mode:o} {about.st_size}\n".encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def _fail(error: OSError) -> None:
    raise error


def extract_argv(into: Path, mirror: str, *, as_root: bool) -> list[str]:
    # What the hook of the package does takes root. Packages are only extracted here, and for that its links are enough.
    way = [f"--hook-dir={_MERGED_USR}"] if as_root else ["--mode=chrootless", f"--setup-hook={_LINK_USR}"]
    return [
        "mmdebstrap",
        "--quiet",
        "--variant=extract",
        *way,
        f"--include={','.join(PACKAGES)}",
        # The user that apt would become can't look into our data directory.
        '--aptopt=APT::Sandbox::User "root"',
        SUITE,
        str(into),
        mirror,
    ]


def _extract(into: Path, mirror: str) -> None:
    install = "apt-get install -y mmdebstrap debian-archive-keyring"
    if shutil.which("mmdebstrap") is None or not _MERGED_USR.is_dir():
        raise ExecutorUnavailable("the sandbox's base system can't be made: mmdebstrap is missing", hint=install)
    made = subprocess.run(
        extract_argv(into, mirror, as_root=os.geteuid() == 0),
        capture_output=True,
        text=True,
        check=False,
        errors="replace",
    )
    if made.returncode:
        last = "\n".join(made.stderr.strip().splitlines()[-5:])
        raise ExecutorUnavailable(
            f"the sandbox's base system could not be made from {mirror}: {last}",
            hint=f"check that {mirror} is reachable (HEADRACE_DEBIAN_MIRROR), and `{install}`",
        )


def _finish(root: Path) -> None:
    for name in _UNNEEDED:
        remove_tree(root / name)
    for name in _DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, target in _LINKS.items():
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(target)
    for name, text in _FILES.items():
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text)
    (root / "tmp").chmod(0o1777)
    _ca_bundle(root)
    _init(root)
    _no_privileged_files(root)
    # Programs start faster with it; they start without it too.
    with suppress(OSError):
        subprocess.run(["/sbin/ldconfig", "-r", str(root)], capture_output=True, check=False)


def _ca_bundle(root: Path) -> None:
    certificates = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    bundle = root / CA_BUNDLE.lstrip("/")
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(b"".join(path.read_bytes().rstrip() + b"\n" for path in certificates))


def _init(root: Path) -> None:
    """The first process of a sandbox can't be read, so the kernel keeps its memory and descriptors from the others."""
    init = root / INIT.lstrip("/")
    shutil.copyfile(root / "usr/bin/dash", init)
    init.chmod(0o111)


def _no_privileged_files(root: Path) -> None:
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                path.chmod(stat.S_IMODE(mode) & 0o777)
