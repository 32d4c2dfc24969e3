"""Where a project's dependencies are installed: its own directory, or the workspace that it is a member of."""

import re
from fnmatch import fnmatchcase

from headrace.plan.manifest import Manifest, read_manifest
from headrace.plan.nx import nx_workspace
from headrace.plan.project_files import ProjectFiles
from headrace.plan.project_view import ProjectView, joined

_MOST_PATTERNS = 200


def workspace_of(view: ProjectView) -> ProjectView:
    """The nearest directory at or above the project that declares it as a member; else the project itself."""
    if _patterns(view):
        return view
    if view.manifest is None and (above := nx_workspace(view.files, view.root)) is not None:
        return above
    at = view.root
    while at:
        at = at.rpartition("/")[0]
        above = ProjectView(view.files, at, read_manifest(view.files, joined(at, "package.json")))
        if any(_fits(pattern, _below(at, view.root)) for pattern in _patterns(above)):
            return above
    return view


def member_manifests(workspace: ProjectView) -> tuple[Manifest, ...]:
    """The manifests of the workspace's members, without its own, sorted by path."""
    patterns = _patterns(workspace)
    if not patterns:
        return ()
    members = sorted(
        name.rpartition("/")[0]
        for name in workspace.names
        if name.endswith("/package.json") and "node_modules" not in name
    )
    fitting = [member for member in members if any(_fits(pattern, member) for pattern in patterns)]
    refused = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return tuple(
        manifest
        for member in fitting
        if not any(_fits(pattern, member) for pattern in refused)
        if (manifest := _read(workspace.files, joined(workspace.root, member)))
    )


def _read(files: ProjectFiles, directory: str) -> Manifest | None:
    return read_manifest(files, joined(directory, "package.json"))


def _patterns(view: ProjectView) -> tuple[str, ...]:
    declared = view.manifest.workspaces if view.manifest else ()
    text = view.text("pnpm-workspace.yaml")
    return (declared + (_pnpm_packages(text) if text else ()))[:_MOST_PATTERNS]


def _pnpm_packages(text: str) -> tuple[str, ...]:
    """The list `packages` of pnpm-workspace.yaml, in block or flow form. Its other keys are pnpm's affair."""
    flow = re.search(r"^packages:\s*\[([^\]]*)\]", text, re.MULTILINE)
    if flow:
        return tuple(part.strip().strip("\"'") for part in flow[1].split(",") if part.strip())
    entries, inside = [], False
    for line in text.splitlines():
        if inside and (entry := re.match(r"\s*-\s*([^#\s][^#]*)", line)):
            entries.append(entry[1].strip().strip("\"'"))
        elif line.strip() and not line.lstrip().startswith("#"):
            inside = re.match(r"packages:\s*(#.*)?$", line) is not None
    return tuple(entries)


def _below(directory: str, path: str) -> str:
    return path.removeprefix(f"{directory}/") if directory else path


def _fits(pattern: str, path: str) -> bool:
    """`*` stands for one name, `**` for any number of names. Linear, whatever a stranger writes."""
    wanted = pattern.removeprefix("./").rstrip("/").split("/")
    states = _skipped({0}, wanted)
    for name in path.split("/"):
        stay = {at for at in states if at < len(wanted) and wanted[at] == "**"}
        step = {at + 1 for at in states - stay if at < len(wanted) and fnmatchcase(name, wanted[at])}
        states = _skipped(stay | step, wanted)
    return len(wanted) in states


def _skipped(states: set[int], wanted: list[str]) -> set[int]:
    """The states, and those behind a `**` that stands for nothing."""
    found = set(states)
    for at in range(len(wanted)):
        if at in found and wanted[at] == "**":
            found.add(at + 1)
    return found
