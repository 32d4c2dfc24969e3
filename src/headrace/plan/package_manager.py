"""Which package manager installs a project's dependencies, and in which version."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.model.diagnostic import FailureReason
from headrace.model.plan import Choice, Ignored, Tool
from headrace.plan.lock_files import LOCK_FILES, Reader, is_berry, reader_of
from headrace.plan.manager_versions import VERSIONS, ManagerName, for_range, major_of, node_needed, runs_on
from headrace.plan.project_file import ProjectFile
from headrace.plan.project_view import ProjectView, joined
from headrace.plan.ranges import parse_version
from headrace.plan.refusal import config_error, refusal

_PIN = re.compile(r"(?P<name>[a-z]+)(?:@(?P<version>[^+\s]+)(?:\+(?P<hash>[a-z0-9]+\.[0-9a-fA-F]+))?)?")
#: A copy of Yarn in the repository, as `yarn set version` leaves it.
_YARN_PATH = re.compile(r"^\s*yarn-?[pP]ath:?\s+[\"']?([^\s\"']+)", re.MULTILINE)
_YARN_RELEASE = re.compile(r"yarn-(\d+\.\d+\.\d+)\.[cm]?js")
_LINKER = re.compile(r"^nodeLinker:\s*[\"']?([\w-]+)", re.MULTILINE)


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
    name: ManagerName
    tool: Tool
    #: The lock file, relative to the root of the version; None when there is none.
    lock: str | None
    #: Some file names this version, so the manager's own rules are the project's wish.
    pinned: bool
    choices: tuple[Choice, ...]
    ignored: tuple[Ignored, ...] = ()
    #: The lock file is from before npm 7, so peer dependencies that don't fit are no error.
    legacy_peers: bool = False
    #: What Yarn 2 and later calls its linker: `pnp` leaves no node_modules. `node-modules` for all others.
    linker: str = "node-modules"

    @property
    def major(self) -> int:
        return major_of(self.tool.version)

    @property
    def berry(self) -> bool:
        """Whether it is Yarn 2 or later, which has little in common with Yarn 1."""
        return self.name == "yarn" and self.major > 1

    @property
    def pnp(self) -> bool:
        return self.berry and self.linker == "pnp"


def choose_manager(view: ProjectView, node_major: int, project_file: ProjectFile) -> ManagerChoice:
    """Raises StepFailed for a manager that is not known, naming what to do. `view` is where the lock file belongs."""
    locks = {name: owner for name, owner in LOCK_FILES.items() if view.has(name)}
    pin = next(_pins(view, project_file), None)
    named, why, source = _name(pin, locks, view)
    if named not in VERSIONS:
        raise _unknown(named, source, view)
    manager = named
    lock = next((file for file, owner in locks.items() if owner == manager), None)
    own_pin = pin if pin and pin.name == manager and pin.version else _version_pin(manager, view)
    reader = reader_of(manager, lock, node_major, view)
    tool, tool_why = _tool(manager, own_pin, reader, node_major, view)
    chosen = (
        Choice(subject="package manager", value=manager, why=why, source=source),
        Choice(subject=manager, value=tool.version, why=tool_why, source=own_pin.source if own_pin else source),
    )
    return ManagerChoice(
        name=manager,
        tool=tool,
        lock=joined(view.root, lock) if lock else None,
        pinned=own_pin is not None,
        choices=chosen,
        ignored=(*_other_locks(view, locks, lock, manager, source), *_ignored_settings(view, manager, tool)),
        legacy_peers=reader.legacy_peers and own_pin is None,
        linker=_linker(view) if manager == "yarn" and major_of(tool.version) > 1 else "node-modules",
    )


def _other_locks(
    view: ProjectView, locks: dict[str, ManagerName], lock: str | None, manager: str, source: str
) -> Iterator[Ignored]:
    for file, owner in locks.items():
        if file != lock:
            why = f"{manager} installs: {source} decides"
            yield Ignored(source=joined(view.root, file), setting=f"lock file of {owner}", why=why)


def _ignored_settings(view: ProjectView, manager: ManagerName, tool: Tool) -> Iterator[Ignored]:
    if manager == "yarn":
        for name in (".yarnrc.yml", ".yarnrc"):
            if found := _YARN_PATH.search(view.text(name) or ""):
                why = f"Yarn {tool.version} from the registry runs instead of the copy"
                yield Ignored(source=joined(view.root, name), setting=f"yarnPath {found[1][:80]}", why=why)


def _linker(view: ProjectView) -> str:
    found = _LINKER.search(view.text(".yarnrc.yml") or "")
    return found[1] if found else "pnp"


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


def _version_pin(manager: ManagerName, view: ProjectView) -> Pin | None:
    """A version of `manager` that a file names without choosing the manager by it: a copy of Yarn, or Volta's pin."""
    if manager == "yarn":
        for name in (".yarnrc.yml", ".yarnrc"):
            path = _YARN_PATH.search(view.text(name) or "")
            if path and (release := _YARN_RELEASE.search(path[1])):
                file = joined(view.root, name)
                return Pin(manager, release[1], f"{file} yarnPath", file)
    volta = view.manifest.raw.get("volta") if view.manifest else None
    version = volta.get(manager) if isinstance(volta, dict) else None
    # Volta pins for the machines of developers: a version that reads another lock file format is no wish for this one.
    if (
        view.manifest
        and isinstance(version, str)
        and parse_version(version)
        and not (manager == "yarn" and is_berry(view))
    ):
        return Pin(manager, version, f"{view.manifest.path} volta.{manager}", view.manifest.path)
    return None


def _parsed(wish: str, source: str, file: str) -> Pin:
    match = _PIN.fullmatch(wish.strip())
    if match is None:
        raise config_error(
            f"{source}: {wish[:80]!r} names no package manager",
            hint='write for example "pnpm@10.34.9" or "npm@11.21.2"',
            file=file,
        )
    return Pin(match["name"], match["version"], source, file, match["hash"])


def _name(pin: Pin | None, locks: dict[str, ManagerName], view: ProjectView) -> tuple[str, str, str]:
    """Name, why, source."""
    if pin:
        return pin.name, f"{pin.source} names it", pin.source
    if locks:
        return _by_lock(locks, view)
    if view.has(".yarnrc.yml"):
        return "yarn", "it has a configuration file", joined(view.root, ".yarnrc.yml")
    if view.has("pnpm-workspace.yaml"):
        return "pnpm", "it has a workspace file", joined(view.root, "pnpm-workspace.yaml")
    engines = view.manifest.engines if view.manifest else {}
    for name in ("pnpm", "yarn", "bun", "npm"):
        if name in engines and view.manifest:
            return name, f"engines.{name} asks for it", f"{view.manifest.path} engines.{name}"
    return "npm", "no lock file and no packageManager field; npm comes with Node", "default"


def _by_lock(locks: dict[str, ManagerName], view: ProjectView) -> tuple[str, str, str]:
    first = next(iter(locks))
    if len(set(locks.values())) == 1:
        return locks[first], "its lock file is there", joined(view.root, first)
    # One of several is usually left over from before a change of manager, and lacks what was added since.
    complete = [file for file in locks if _covers(view, file)]
    found = complete[0] if complete else first
    others = [file for file in locks if locks[file] != locks[found]]
    stale = len(complete) < len(locks) and bool(complete)
    why = f"its lock file {'holds every dependency' if stale else 'is there'}, before {' and '.join(others)}"
    return locks[found], why, joined(view.root, found)


def _covers(view: ProjectView, lock: str) -> bool:
    """Whether a lock file mentions every direct dependency."""
    text = view.text(lock) or ""
    return all(name in text for name in view.dependencies)


def _tool(
    manager: ManagerName, pin: Pin | None, reader: Reader, node_major: int, view: ProjectView
) -> tuple[Tool, str]:
    if pin and pin.version:
        return _pinned(manager, pin, pin.version, reader, node_major)
    # Managers refuse to run where the project's engines exclude them.
    wish = view.manifest.engines.get(manager) if view.manifest else None
    version = (for_range(manager, wish, node_major, reader.version) if wish else None) or reader.version
    if not runs_on(manager, version, node_major):
        raise _needs_node(manager, version, "the lock file", None, node_major)
    why = reader.why if version == reader.version else f"engines.{manager} {wish!r} allows it"
    return Tool(name=manager, version=version), why


def _pinned(manager: ManagerName, pin: Pin, wish: str, reader: Reader, node_major: int) -> tuple[Tool, str]:
    exact = parse_version(wish)
    if exact is None:
        version = for_range(manager, wish, node_major, reader.version)
        if version is None:
            raise config_error(
                f"{pin.source}: no {manager} here is {wish[:80]!r} and runs on Node {node_major}",
                hint=f"name an exact version, such as {manager}@{VERSIONS[manager][1]}",
                file=pin.file or "package.json",
            )
        return Tool(name=manager, version=version), f"{wish!r} allows it"
    if not runs_on(manager, wish, node_major):
        raise _needs_node(manager, wish, pin.source, pin.file, node_major)
    # Nobody but Headrace reads a hash of bun, and which of its packages it would be of is not said anywhere.
    integrity = None if manager == "bun" else pin.integrity
    return Tool(name=manager, version=wish.removeprefix("v"), integrity=integrity), "this exact version is named"


def _needs_node(manager: ManagerName, version: str, source: str, file: str | None, node_major: int) -> Exception:
    needed = node_needed(manager, version)
    return refusal(
        FailureReason.WRONG_NODE_VERSION,
        f"{source} names {manager} {version}, which needs Node {needed} or newer; Node {node_major} is chosen",
        hint=f'set "engines": {{"node": ">={needed}"}} or name an older {manager}',
        file=file,
    )


def _unknown(name: str, source: str, view: ProjectView) -> Exception:
    return refusal(
        FailureReason.UNSUPPORTED,
        f"{name[:40]!r} is no package manager that is known here ({source} asks for it); npm, pnpm, yarn and bun are",
        hint='set package_manager = "npm" below [build] in headrace.toml to install with npm',
        file=view.manifest.path if view.manifest else None,
    )
