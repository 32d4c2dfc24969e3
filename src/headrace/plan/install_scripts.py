"""Whether packages may run scripts while they are installed: the package manager's own rule, and what the project says."""

import re
from collections.abc import Iterable

from headrace.model.plan import Choice
from headrace.plan.package_manager import ManagerChoice
from headrace.plan.project_view import ProjectView, joined

#: The first Yarn whose packages run no scripts unless they are allowed to.
_CAREFUL_YARN = (4, 14)
#: The first majors of other managers that ask.
_CAREFUL_NPM, _CAREFUL_PNPM = 12, 10


def install_scripts(workspace: ProjectView, manager: ManagerChoice) -> Choice:
    """What will be run, as a choice of the plan."""
    off = _switched_off(workspace, manager)
    if off:
        return Choice(subject="install scripts", value="none", why="the project switches them off", source=off)
    allowed, source = _allowed(workspace, manager)
    if not _asks(workspace, manager):
        why = f"{manager.name} {manager.tool.version} runs those of every package"
        return Choice(subject="install scripts", value="all packages", why=why, source=source or "default")
    value = ", ".join(allowed[:20]) if allowed else "those that bun trusts" if manager.name == "bun" else "none"
    how = _HOW[manager.name]
    why = (
        f"{manager.name} {manager.tool.version} runs those of named packages only"
        if allowed
        else f"{manager.name} {manager.tool.version} runs those of named packages only; to name some: {how}"
    )
    return Choice(subject="install scripts", value=value, why=why, source=source or "default")


_HOW = {
    "npm": '"allowScripts": {"esbuild": true} in package.json',
    "pnpm": "allowBuilds (or onlyBuiltDependencies up to version 10) in pnpm-workspace.yaml",
    "yarn": "enableScripts: true in .yarnrc.yml, or dependenciesMeta in package.json",
    "bun": '"trustedDependencies": ["esbuild"] in package.json',
}


def _asks(workspace: ProjectView, manager: ManagerChoice) -> bool:
    match manager.name:
        case "npm":
            return manager.major >= _CAREFUL_NPM
        case "pnpm":
            careless = re.search(
                r"^dangerouslyAllowAllBuilds:\s*true", _yaml(workspace, "pnpm-workspace.yaml"), re.MULTILINE
            )
            return manager.major >= _CAREFUL_PNPM and not careless
        case "yarn":
            set_to = re.search(r"^enableScripts:\s*(true|false)", _yaml(workspace, ".yarnrc.yml"), re.MULTILINE)
            version = tuple(int(n) for n in manager.tool.version.split(".")[:2] if n.isdecimal())
            return manager.berry and version >= _CAREFUL_YARN and not (set_to and set_to[1] == "true")
        case "bun":
            return True


def _switched_off(workspace: ProjectView, manager: ManagerChoice) -> str | None:
    """The file that does it."""
    if manager.berry:
        off = re.search(r"^enableScripts:\s*false", _yaml(workspace, ".yarnrc.yml"), re.MULTILINE)
        return joined(workspace.root, ".yarnrc.yml") if off else None
    if manager.name == "bun":
        return None
    for name, pattern in ((".npmrc", r"^\s*ignore-scripts\s*=\s*\"?true"), (".yarnrc", r"^\s*ignore-scripts\s+true")):
        if re.search(pattern, workspace.text(name) or "", re.MULTILINE):
            return joined(workspace.root, name)
    return None


def _allowed(workspace: ProjectView, manager: ManagerChoice) -> tuple[list[str], str]:
    """Packages that the project names, and where."""
    raw = workspace.manifest.raw if workspace.manifest else {}
    manifest = workspace.manifest.path if workspace.manifest else "package.json"
    match manager.name:
        case "npm":
            return _true(raw.get("allowScripts")), f"{manifest} allowScripts"
        case "bun":
            return _texts(raw.get("trustedDependencies")), f"{manifest} trustedDependencies"
        case "yarn":
            meta = raw.get("dependenciesMeta")
            built = meta if isinstance(meta, dict) else {}
            return [n for n, v in built.items() if isinstance(v, dict) and v.get("built") is True], manifest
        case "pnpm":
            return _of_pnpm(workspace, raw.get("pnpm"), manifest)


def _of_pnpm(workspace: ProjectView, table: object, manifest: str) -> tuple[list[str], str]:
    text = _yaml(workspace, "pnpm-workspace.yaml")
    only = re.search(r"^onlyBuiltDependencies:\s*\n((?:\s*-.*\n?)+)", text, re.MULTILINE)
    builds = re.search(r"^allowBuilds:\s*\n((?:[ \t]+.*\n?)+)", text, re.MULTILINE)
    named = re.findall(r"-\s*['\"]?([^\s'\"#]+)", only[1]) if only else []
    named += re.findall(r"^\s*['\"]?([^\s'\":]+)['\"]?:\s*true", builds[1], re.MULTILINE) if builds else []
    if named:
        return named, joined(workspace.root, "pnpm-workspace.yaml")
    own = table if isinstance(table, dict) else {}
    return [*_texts(own.get("onlyBuiltDependencies")), *_true(own.get("allowBuilds"))], f"{manifest} pnpm"


def _texts(value: object) -> list[str]:
    return (
        [name for name in value if isinstance(name, str)]
        if isinstance(value, Iterable) and not isinstance(value, str)
        else []
    )


def _true(value: object) -> list[str]:
    return [name for name, allowed in value.items() if allowed is True] if isinstance(value, dict) else []


def _yaml(workspace: ProjectView, name: str) -> str:
    return workspace.text(name) or ""
