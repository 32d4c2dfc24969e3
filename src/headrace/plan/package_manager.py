"""Which package manager installs a project's dependencies, and in which version."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

from headrace.model.diagnostic import FailureReason
from headrace.model.plan import Choice, Ignored, Tool
from headrace.plan.project_file import ProjectFile
from headrace.plan.project_view import ProjectView, joined
from headrace.plan.ranges import BadRange, parse_version, satisfies
from headrace.plan.refusal import config_error, refusal
from headrace.plan.toolchain import NPM_FOR_NODE

Name = Literal["npm", "pnpm"]

#: Lock file -> whose it is, the likeliest first.
LOCK_FILES: dict[str, str] = {
    "pnpm-lock.yaml": "pnpm",
    "npm-shrinkwrap.json": "npm",
    "package-lock.json": "npm",
    "bun.lock": "bun",
    "bun.lockb": "bun",
    "yarn.lock": "yarn",
}

#: First version of pnpm's lock file format -> the pnpm that reads it, and the oldest Node that runs that pnpm.
_PNPM_FOR_LOCK: tuple[tuple[float, str, int], ...] = (
    (9.0, "12.21.0", 16),
    (6.0, "8.15.9", 16),
    (0.0, "7.33.7", 16),
)
_PNPM_VERSIONS = ("12.21.0", "11.28.11", "10.34.9", "9.15.9", "8.15.9", "7.33.7")
_NPM_VERSIONS = ("12.2.0", "11.21.2", "10.9.9", "9.9.4", "8.19.4")

#: What a JavaScript release of pnpm needs of Node; 12 is a program of its own.
_NODE_FOR_PNPM = {7: 16, 8: 16, 9: 18, 10: 18, 11: 22}

_PIN = re.compile(r"(?P<name>[a-z]+)(?:@(?P<version>[^+\s]+)(?:\+(?P<hash>[a-z0-9]+\.[0-9a-fA-F]+))?)?")


@dataclass(frozen=True)
class Pin:
    """A package manager that some file names."""

    name: str
    version: str | None
    source: str
    file: str | None = None
    integrity: str | None = None


@dataclass(frozen=True)
class ManagerChoice:
    name: Name
    tool: Tool
    #: The lock file, relative to the root of the version; None when there is none.
    lock: str | None
    #: Some file names this version, so the manager's own rules are the project's wish.
    pinned: bool
    choices: tuple[Choice, ...]
    ignored: tuple[Ignored, ...] = ()


def choose_manager(view: ProjectView, node_major: int, project_file: ProjectFile) -> ManagerChoice:
    """Raises StepFailed for a manager that is not supported, naming what to do. `view` is where the lock file belongs."""
    locks = {name: owner for name, owner in LOCK_FILES.items() if view.has(name)}
    pin = next(_pins(view, project_file), None)
    name, why, source = _name(pin, locks, view)
    if name not in ("npm", "pnpm"):
        raise _unsupported(name, source, view, locks)
    manager = cast(Name, name)
    lock = next((file for file, owner in locks.items() if owner == manager), None)
    tool, tool_why = _tool(manager, pin if pin and pin.name == manager else None, lock, node_major, view)
    ignored = tuple(
        Ignored(
            source=joined(view.root, file), setting=f"lock file of {owner}", why=f"{manager} installs: {source} decides"
        )
        for file, owner in locks.items()
        if file != lock
    )
    chosen = (
        Choice(subject="package manager", value=manager, why=why, source=source),
        Choice(subject=manager, value=tool.version, why=tool_why, source=pin.source if pin and pin.version else source),
    )
    return ManagerChoice(
        name=manager,
        tool=tool,
        lock=joined(view.root, lock) if lock else None,
        pinned=bool(pin and pin.name == manager and pin.version),
        choices=chosen,
        ignored=ignored,
    )


def _pins(view: ProjectView, project_file: ProjectFile) -> Iterator[Pin]:
    if wish := project_file.build.package_manager:
        yield _parsed(wish, f"{project_file.path} build.package_manager", project_file.path)
    if view.manifest is None:
        return
    if wish := view.manifest.text("packageManager"):
        yield _parsed(wish, f"{view.manifest.path} packageManager", view.manifest.path)
    engines = view.manifest.raw.get("devEngines")
    wanted = engines.get("packageManager") if isinstance(engines, dict) else None
    for entry in wanted if isinstance(wanted, list) else [wanted]:
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            version = entry.get("version")
            source = f"{view.manifest.path} devEngines.packageManager"
            yield Pin(entry["name"], version if isinstance(version, str) else None, source, view.manifest.path)


def _parsed(wish: str, source: str, file: str) -> Pin:
    match = _PIN.fullmatch(wish.strip())
    if match is None:
        raise config_error(
            f"{source}: {wish[:80]!r} names no package manager",
            hint='write for example "pnpm@10.34.9" or "npm@11.21.2"',
            file=file,
        )
    return Pin(match["name"], match["version"], source, file, match["hash"])


def _name(pin: Pin | None, locks: dict[str, str], view: ProjectView) -> tuple[str, str, str]:
    """Name, why, source."""
    if pin:
        return pin.name, f"{pin.source} names it", pin.source
    supported = next((file for file, owner in locks.items() if owner in ("npm", "pnpm")), None)
    if found := supported or next(iter(locks), None):
        others = [file for file in locks if file != found]
        why = f"its lock file is there, before {' and '.join(others)}" if others else "its lock file is there"
        return locks[found], why, joined(view.root, found)
    if view.has(".yarnrc.yml"):
        return "yarn", "it has a configuration file", joined(view.root, ".yarnrc.yml")
    if view.has("pnpm-workspace.yaml"):
        return "pnpm", "it has a workspace file", joined(view.root, "pnpm-workspace.yaml")
    engines = view.manifest.engines if view.manifest else {}
    for name in ("pnpm", "yarn", "bun", "npm"):
        if name in engines and view.manifest:
            return name, f"engines.{name} asks for it", f"{view.manifest.path} engines.{name}"
    return "npm", "no lock file and no packageManager field; npm comes with Node", "default"


def _tool(manager: Name, pin: Pin | None, lock: str | None, node_major: int, view: ProjectView) -> tuple[Tool, str]:
    if pin and pin.version:
        return _pinned(manager, pin, pin.version, node_major)
    if manager == "npm":
        version = NPM_FOR_NODE[node_major]
        return Tool(name="npm", version=version), f"the npm that belongs to Node {node_major}"
    version, why = _pnpm_for(lock, view)
    if node_major < _NODE_FOR_PNPM.get(int(version.split(".")[0]), 0):
        raise AssertionError("the table of pnpm versions names one that this Node can't run")
    return Tool(name="pnpm", version=version), why


def _pinned(manager: Name, pin: Pin, wish: str, node_major: int) -> tuple[Tool, str]:
    exact = parse_version(wish)
    if exact is None:
        known = _NPM_VERSIONS if manager == "npm" else _PNPM_VERSIONS
        try:
            fitting = [v for v in known if (number := parse_version(v)) and satisfies(number, wish)]
        except BadRange:
            fitting = []
        fitting = [v for v in fitting if _runs_on(manager, v, node_major)]
        if not fitting:
            raise config_error(
                f"{pin.source}: no {manager} here is {wish[:80]!r} and runs on Node {node_major}",
                hint=f"name an exact version, such as {manager}@{known[1]}",
                file=pin.file or "package.json",
            )
        preferred = NPM_FOR_NODE[node_major] if manager == "npm" else fitting[0]
        version = preferred if preferred in fitting else fitting[0]
        return Tool(name=manager, version=version), f"{wish!r} allows it"
    if not _runs_on(manager, wish, node_major):
        needed = _NODE_FOR_PNPM.get(exact[0], 20)
        raise refusal(
            FailureReason.WRONG_NODE_VERSION,
            f"{pin.source} names {manager} {wish}, which needs Node {needed} or newer; Node {node_major} is chosen",
            hint=f'set "engines": {{"node": ">={needed}"}} or name an older {manager}',
            file=pin.file,
        )
    return Tool(name=manager, version=wish.removeprefix("v"), integrity=pin.integrity), "this exact version is named"


def _runs_on(manager: Name, version: str, node_major: int) -> bool:
    major = int(version.removeprefix("v").split(".")[0])
    if manager == "pnpm":
        return node_major >= _NODE_FOR_PNPM.get(major, 0)
    return node_major >= {11: 20, 12: 22}.get(major, 0)


def _pnpm_for(lock: str | None, view: ProjectView) -> tuple[str, str]:
    text = (view.text(lock) or "")[:4096] if lock else ""
    match = re.search(r"^lockfileVersion:\s*['\"]?(\d+(?:\.\d+)?)", text, re.MULTILINE)
    if match is None:
        return _PNPM_VERSIONS[0], "the newest one; no lock file asks for another"
    number = float(match[1])
    version = next(version for first, version, _ in _PNPM_FOR_LOCK if number >= first)
    return version, f"it reads lock files of version {match[1]}"


def _unsupported(name: str, source: str, view: ProjectView, locks: dict[str, str]) -> Exception:
    known = name in ("yarn", "bun")
    lock = next((file for file, owner in locks.items() if owner == name), None)
    file = lock and joined(view.root, lock)
    steps = (
        f"run `npm install`, commit package-lock.json and remove {file}"
        if lock
        else "run `npm install` and commit package-lock.json"
    )
    what = (
        f"{name} can't install dependencies here yet"
        if known
        else f"{name[:40]!r} is no package manager that is known here"
    )
    return refusal(
        FailureReason.UNSUPPORTED,
        f"{what} ({source} asks for it); npm and pnpm can",
        hint=f'{steps}; or set package_manager = "npm" below [build] in headrace.toml to install with npm without a lock file',
        file=file or (view.manifest.path if view.manifest else None),
    )
