"""
Installing a part of a workspace: what one app needs, where the package manager does exactly that.

Left out are members that neither the app nor the root depends on. The install doesn't see their manifests either, so they are no
part of the layer's key. Of pnpm that is the usual way: without hoisting, an app can't reach what only another member depends on,
so nothing is missed. Elsewhere apps get along with packages that a sibling brought, and a project has to ask for it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.model.plan import Choice, Ignored
from headrace.plan.install_inputs import directory_of
from headrace.plan.manifest import Manifest
from headrace.plan.monorepo import monorepo_tool, used_members
from headrace.plan.package_manager import ManagerChoice
from headrace.plan.project_file import ProjectFile
from headrace.plan.project_view import ProjectView

#: These look at the configuration of all members, which needs what that imports.
_LOOK_AROUND = ("nx", "lerna")
#: Directories that no manager takes for a pattern.
_PLAIN = re.compile(r"[\w@.][\w@./-]*")
#: Dependencies that name a member in another way than by its own name.
_ODD = re.compile(r"(?:link|file|portal):|workspace:(?![*^~<>=\d])")
#: pnpm's settings that let packages reach more than they name.
_HOISTING = re.compile(
    r"^\s*(?:node-?linker\s*[:=]\s*[\"']?(?:hoisted|pnp)|shamefully-?hoist\s*[:=]\s*[\"']?true)",
    re.MULTILINE | re.IGNORECASE,
)


@dataclass(frozen=True)
class WorkspacePart:
    members: tuple[Manifest, ...]
    #: What the install command is told besides.
    flags: tuple[str, ...]
    choice: Choice


def part_of(
    view: ProjectView, workspace: ProjectView, members: Sequence[Manifest], manager: ManagerChoice, file: ProjectFile
) -> WorkspacePart | Ignored | None:
    """What is installed for the app at `view`; None for the whole workspace; why not, when the project asks for a part."""
    asked = file.build.members
    app = next((member for member in members if view.manifest and member.path == view.manifest.path), None)
    if app is None or asked == "all" or (asked is None and not _by_itself(workspace, manager)):
        return None
    needed = _needed(app, workspace, members)
    if len(needed) == len(members):
        return None
    if why := _why_not(workspace, manager, needed, file):
        return Ignored(source=file.path, setting="build.members", why=why) if asked else None
    names = ", ".join(_below(workspace, member) for member in needed)
    source = file.where("build.members") if asked else app.path
    why = f"{app.path} and the root depend on no other of the {len(members)} members"
    choice = Choice(subject="installed members", value=names, why=why, source=source)
    return WorkspacePart(needed, _flags(workspace, manager, needed), choice)


def _needed(app: Manifest, workspace: ProjectView, members: Sequence[Manifest]) -> tuple[Manifest, ...]:
    start = [app, *([workspace.manifest] if workspace.manifest else [])]
    wanted = {app.path} | {used.path for manifest in start for used in used_members(manifest, members)}
    return tuple(member for member in members if member.path in wanted)


def _by_itself(workspace: ProjectView, manager: ManagerChoice) -> bool:
    """Whether the manager keeps packages apart, so that leaving some out changes nothing for the others."""
    settings = ((workspace.text(name) or "") for name in (".npmrc", "pnpm-workspace.yaml"))
    return manager.name == "pnpm" and not any(_HOISTING.search(text) for text in settings)


def _why_not(
    workspace: ProjectView, manager: ManagerChoice, needed: Sequence[Manifest], file: ProjectFile
) -> str | None:
    if file.build.install is not None:
        return "the project has an install command of its own"
    if manager.lock is None or not file.build.frozen:
        return "without a lock file that holds, all members decide which versions are chosen"
    if not _can(manager):
        return f"{manager.name} {manager.tool.version} can't install a part exactly as the lock file says"
    if (tool := monorepo_tool(workspace)) in _LOOK_AROUND:
        return f"{tool} reads the configuration of all members"
    root = [workspace.manifest] if workspace.manifest else []
    if any(_ODD.match(wish) for manifest in (*needed, *root) for wish in manifest.dependencies.values()):
        return "a dependency names a directory instead of a package"
    if not all(_PLAIN.fullmatch(_below(workspace, member)) for member in needed):
        return "a member's directory has a name that means something else to package managers"
    return None


def _can(manager: ManagerChoice) -> bool:
    """Tried with real installs: what is needed and nothing else, and a lock file that doesn't fit is noticed."""
    match manager.name:
        case "npm":
            return manager.major >= 9
        case "pnpm":
            return manager.major >= 8
        case "bun":
            # Up to 1.3 a lock file with members that aren't there did not fit.
            version = tuple(int(part) for part in manager.tool.version.split(".")[:2] if part.isdecimal())
            return version >= (1, 4)
        case "yarn":
            # Yarn 1 has nothing of the kind; `workspaces focus` of later ones takes a lock file that does not fit.
            return False


def _flags(workspace: ProjectView, manager: ManagerChoice, needed: Sequence[Manifest]) -> tuple[str, ...]:
    places = [_below(workspace, member) for member in needed]
    match manager.name:
        case "npm":
            return (*(f"--workspace={place}" for place in places), "--include-workspace-root")
        case "pnpm":
            return (*(f"--filter=./{place}" for place in places), "--filter={.}")
        case _:
            return (*(f"--filter=./{place}" for place in places), "--filter=./")


def _below(workspace: ProjectView, member: Manifest) -> str:
    return directory_of(member).removeprefix(f"{workspace.root}/" if workspace.root else "")
