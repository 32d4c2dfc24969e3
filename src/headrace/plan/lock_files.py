"""Lock files: whose they are, and which version of a package manager reads what is in them."""

import re
from dataclasses import dataclass

from headrace.plan.manager_versions import VERSIONS, ManagerName
from headrace.plan.project_view import ProjectView
from headrace.plan.toolchain import NPM_FOR_NODE

#: Lock file -> whose it is, the likeliest first.
LOCK_FILES: dict[str, ManagerName] = {
    "pnpm-lock.yaml": "pnpm",
    "bun.lock": "bun",
    "bun.lockb": "bun",
    "yarn.lock": "yarn",
    "npm-shrinkwrap.json": "npm",
    "package-lock.json": "npm",
}

#: The first bytes are enough to know the format, whatever the size.
_HEAD = 4096

#: Last version of the lock file's format -> the Yarn that writes it. Others would change the file, or refuse to.
_YARN_FOR_LOCK = ((4, "2.4.2"), (7, "3.8.7"), (8, "4.13.0"), (9, "4.14.1"))
#: npm 6 does not run on a newer Node.
_LAST_NODE_FOR_NPM_6 = 18
#: pnpm 6 can't reach a registry with a newer Node.
_LAST_NODE_FOR_PNPM_6 = 18


@dataclass(frozen=True)
class Reader:
    """The version that reads a lock file."""

    version: str
    why: str
    #: The lock file is from before npm 7, which began to refuse peer dependencies that don't fit.
    legacy_peers: bool = False


def reader_of(manager: ManagerName, lock: str | None, node_major: int, view: ProjectView) -> Reader:
    """The version to use when nothing names one. `lock` is relative to the view's root."""
    head = (view.text(lock) or "")[:_HEAD] if lock else ""
    match manager:
        case "npm":
            return _npm(head, node_major)
        case "pnpm":
            return _pnpm(head, node_major)
        case "yarn":
            return _yarn(head, lock, view)
        case "bun":
            return Reader(VERSIONS["bun"][0], "the newest one; it reads every lock file of bun")


def is_berry(view: ProjectView) -> bool:
    """Whether this is a project of Yarn 2 or later: its lock file says so, or it has the configuration file of those."""
    head = (view.text("yarn.lock") or "")[:_HEAD]
    if "# yarn lockfile v1" in head:
        return False
    return "__metadata:" in head or view.has(".yarnrc.yml")


def _npm(head: str, node_major: int) -> Reader:
    own = NPM_FOR_NODE[node_major]
    if not re.search(r'"lockfileVersion":\s*1\b', head):
        return Reader(own, f"the npm that belongs to Node {node_major}")
    if node_major <= _LAST_NODE_FOR_NPM_6:
        return Reader("6.14.18", "it writes lock files of version 1")
    why = f"the npm that belongs to Node {node_major}; it reads the lock file of version 1 by the rules of npm 6"
    return Reader(own, why, legacy_peers=True)


def _pnpm(head: str, node_major: int) -> Reader:
    match = re.search(r"^lockfileVersion:\s*['\"]?(\d+(?:\.\d+)?)", head, re.MULTILINE)
    if match is None:
        return Reader(VERSIONS["pnpm"][0], "the newest one; no lock file asks for another")
    number = float(match[1])
    if number >= 9:
        version = "12.21.0"
    elif number >= 6:
        version = "8.15.9"
    elif number >= 5.4 or node_major > _LAST_NODE_FOR_PNPM_6:
        version = "7.33.7"
    else:
        version = "6.35.1"
    return Reader(version, f"it reads lock files of version {match[1]}")


def _yarn(head: str, lock: str | None, view: ProjectView) -> Reader:
    if not is_berry(view):
        why = "its lock file is one of Yarn 1" if lock else "no lock file asks for another"
        return Reader("1.22.22", why)
    match = re.search(r"^__metadata:\s*\n\s+version:\s*['\"]?(\d+)", head, re.MULTILINE)
    if match is None:
        return Reader(VERSIONS["yarn"][0], "the newest one; no lock file asks for another")
    number = int(match[1])
    version = next((version for last, version in _YARN_FOR_LOCK if number <= last), VERSIONS["yarn"][0])
    return Reader(version, f"it reads lock files of version {match[1]}")
