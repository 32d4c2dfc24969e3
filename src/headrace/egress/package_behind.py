"""
Which package's script opened a connection inside a sandbox, as far as its processes say. They can say anything: it is a hint for
people, bounded and of few characters, and never a reason to allow something.

Standard library only: the proxy uses it.
"""

import os
import re
from contextlib import suppress
from pathlib import Path

_NAME = re.compile(r"(?:@[A-Za-z0-9~][\w.~-]{0,60}/)?[A-Za-z0-9~][\w.~-]{0,60}", re.ASCII)
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]{0,40}")
_ENVIRONMENT_BYTES = 256 * 1024
#: Of a machine with more processes than this the rest is not looked at.
_PROCESSES = 20_000


def package_behind(first: int, client_port: int, proxy_port: int) -> str:
    """
    `name@version` of the package whose process in the sandbox of the process `first` holds the connection from `client_port` to
    the proxy; empty when that can't be told.
    """
    with suppress(OSError, ValueError):
        inode = _inode(first, client_port, proxy_port)
        holder = _holder(first, inode) if inode else None
        if holder is not None:
            return _from_environment(holder) or _from_directory(holder)
    return ""


def _inode(first: int, client_port: int, proxy_port: int) -> str | None:
    """Of the client's socket, in the network of the process `first`."""
    wanted = f"{client_port:04X}", f"{proxy_port:04X}"
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{first}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if (fields[1].rpartition(":")[2], fields[2].rpartition(":")[2]) == wanted:
                return fields[9]
    return None


def _holder(first: int, inode: str) -> Path | None:
    """The process of the same sandbox that has this socket open."""
    inside = Path(f"/proc/{first}/ns/pid").stat().st_ino
    wanted = f"socket:[{inode}]"
    for name in [name for name in os.listdir("/proc") if name.isdigit()][:_PROCESSES]:  # noqa: PTH208
        process = Path("/proc", name)
        with suppress(OSError):
            if (process / "ns/pid").stat().st_ino != inside:
                continue
            if any(os.readlink(held) == wanted for held in (process / "fd").iterdir()):  # noqa: PTH115
                return process
    return None


def _from_environment(process: Path) -> str:
    """What package managers tell the scripts that they run."""
    with (process / "environ").open("rb") as file:
        pairs = (pair.partition(b"=") for pair in file.read(_ENVIRONMENT_BYTES).split(b"\0"))
        env = {name: value.decode(errors="replace") for name, _, value in pairs if name.startswith(b"npm_package_")}
    name, version = env.get(b"npm_package_name", ""), env.get(b"npm_package_version", "")
    if not _NAME.fullmatch(name):
        return ""
    return f"{name}@{version}" if _VERSION.fullmatch(version) else name


def _from_directory(process: Path) -> str:
    """The package in whose directory it runs."""
    _, found, rest = os.readlink(process / "cwd").rpartition("node_modules/")  # noqa: PTH115
    parts = rest.split("/")
    name = "/".join(parts[:2]) if rest.startswith("@") else parts[0]
    return name if found and _NAME.fullmatch(name) else ""
