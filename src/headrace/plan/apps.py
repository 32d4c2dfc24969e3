"""Which of a repository's projects is meant, when nothing says so and its root is none itself."""

import re
from collections.abc import Callable

from headrace.errors import StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.model.plan import Choice
from headrace.plan.manifest import Manifest
from headrace.plan.nx import nx_apps
from headrace.plan.project_files import ProjectFiles
from headrace.plan.project_view import ProjectView
from headrace.plan.refusal import refusal
from headrace.plan.workspace import member_manifests

#: Scripts at the root of a workspace that only hand on to its members.
_HANDS_ON = re.compile(
    r"\b(turbo|nx|lerna|rush|moon|lage|wireit|ultra)\b|\bpnpm\b.*(-r\b|--recursive|--filter|-F\b)|\byarn workspaces?\b"
    r"|\bnpm\b.*(\s-w\b|-ws\b|--workspaces?\b)|\bbun\b.*--filter"
)
_LONGEST_SCRIPT = 16_384
#: Fields of packages that others import: an app has none of them.
_LIBRARY_FIELDS = ("exports", "module", "types", "bin", "publishConfig")

#: The framework of a project, None for one that has no framework of its own.
Framework = Callable[[ProjectView], str | None]


def choose_app(root: ProjectView, framework: Framework) -> tuple[str, Choice] | None:
    """
    The directory of the only app of a workspace; None when the root itself is to be built. Raises StepFailed, naming them,
    when there are several: which one is meant can't be guessed.
    """
    manifest = root.manifest
    if manifest is None or not _only_hands_on(root, manifest, framework):
        return None
    apps = _apps_of(root, framework)
    if not apps:
        return None
    named = _named(root, manifest.scripts.get("build", ""), apps)
    if len(apps) > 1 and named is None:
        raise several_apps(apps)
    directory = named or next(iter(apps))
    why = (
        f"{manifest.path} scripts.build names it"
        if len(apps) > 1
        else f"the only app of the workspace: {apps[directory]}"
    )
    return directory, _because(root, directory, why)


def app_named(root: ProjectView, framework: Framework, name: str) -> tuple[str, Choice]:
    """
    The app of a workspace that somebody asks for: by its directory, the last name of that, or its package's name. Raises
    StepFailed, naming those there are.
    """
    apps = _apps_of(root, framework)
    names = _names(root, apps)
    found = [place for place, known in names.items() if name in {*known, place.rpartition("/")[2]}]
    if len(found) == 1:
        return found[0], _because(root, found[0], f"the app {name} is asked for: {apps[found[0]]}")
    listed = ", ".join(f"{place} ({of})" for place, of in sorted(apps.items())[:20])
    there = f"its workspace has {listed}" if apps else "it declares none, and its packages are no workspace of apps"
    raise refusal(
        FailureReason.CONFIG_ERROR,
        f"this repository has {'several apps' if found else 'no app'} {name[:60]!r}: {there}",
        hint='choose a directory of these, or declare the app in headrace.toml: [apps.NAME] with root = "…"',
        file="package.json" if root.manifest else None,
    )


def _apps_of(root: ProjectView, framework: Framework) -> dict[str, str]:
    """The framework of each app of a workspace, by its directory."""
    apps = {app.directory: app.framework or ("a program" if app.program else "nx") for app in nx_apps(root)}
    return apps | {
        _directory(member): found for member in member_manifests(root) if (found := _app(root.files, member, framework))
    }


def _because(root: ProjectView, directory: str, why: str) -> Choice:
    source = next(name for name in ("package.json", "project.json") if f"{directory}/{name}" in root.files.paths())
    return Choice(subject="root", value=directory, why=why, source=f"{directory}/{source}")


def several_apps(apps: dict[str, str]) -> StepFailed:
    """A repository with several apps, each with its framework."""
    listed = ", ".join(f"{directory} ({framework})" for directory, framework in sorted(apps.items())[:20])
    first = min(apps)
    return refusal(
        FailureReason.CONFIG_ERROR,
        f"this repository holds several apps, and nothing says which is meant: {listed}",
        hint=f'write root = "{first}" (or another one) in headrace.toml at the root of the repository, or set the '
        f"project's root directory; for more than one of them, `--app {first}` makes a project for each",
        file="package.json",
    )


def _named(root: ProjectView, script: str, apps: dict[str, str]) -> str | None:
    """The only app that the root's script names: `turbo run build --filter=web`, `nx build web`."""
    words = set(re.split(r"[\s=:'\"]+", script[:_LONGEST_SCRIPT]))
    found = [directory for directory, known in _names(root, apps).items() if known & words]
    return found[0] if len(found) == 1 else None


def _names(root: ProjectView, apps: dict[str, str]) -> dict[str, set[str]]:
    """What each app is called by, by its directory."""
    names: dict[str, set[str]] = {directory: {directory, f"./{directory}"} for directory in apps}
    for member in member_manifests(root):
        if (name := member.text("name")) and _directory(member) in names:
            names[_directory(member)].add(name)
    for app in nx_apps(root):
        names[app.directory].add(app.name)
    return names


def _only_hands_on(root: ProjectView, manifest: Manifest, framework: Framework) -> bool:
    """Whether the root is no project itself. One that hands on may hold a framework for its members."""
    build = manifest.scripts.get("build", "").strip()
    if build:
        return _HANDS_ON.search(build) is not None
    # The root of an Nx workspace holds the packages of all its apps.
    return (root.has("nx.json") and not root.has("project.json")) or framework(root) is None


def _app(files: ProjectFiles, member: Manifest, framework: Framework) -> str | None:
    if any(field in member.raw for field in _LIBRARY_FIELDS) or not member.scripts.keys() & {"build", "dev", "start"}:
        return None
    return framework(ProjectView(files, _directory(member), member))


def _directory(member: Manifest) -> str:
    return member.path.rpartition("/")[0]
