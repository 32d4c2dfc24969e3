"""Nx: its apps, described by `project.json` or found by its plugins, are built from the root of their workspace."""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from headrace.plan.jsonc import read_json
from headrace.plan.manifest import Manifest, read_manifest
from headrace.plan.project_files import ProjectFiles
from headrace.plan.project_view import ProjectView, joined

#: Makers of a framework's build: the beginning of an executor's name, and the framework.
_EXECUTORS = {
    "next": "next", "nuxt": "nuxt", "remix": "remix", "expo": "expo", "vite": "vite", "rspack": "rspack", "rsbuild": "rsbuild",
    "webpack": "webpack", "rollup": "rollup", "storybook": "storybook", "angular": "angular",
    "build-angular": "angular", "build": "angular", "stencil": "stencil", "react": "webpack", "web": "webpack",
}  # fmt: skip

#: Makers of programs that have to run.
_PROGRAMS = frozenset({"node", "nest", "express", "esbuild", "js", "nestjs"})

#: What Nx's plugins look for in a project without a build of its own, the surest first.
_CONFIGS = {
    "next.config": "next", "nuxt.config": "nuxt", "astro.config": "astro", "svelte.config": "sveltekit",
    "react-router.config": "react-router", "remix.config": "remix", "vite.config": "vite", "rsbuild.config": "rsbuild",
    "rspack.config": "rspack", "webpack.config": "webpack",
}  # fmt: skip

_ENDINGS = ("ts", "js", "mjs", "mts", "cjs", "cts")
_TOKEN = re.compile(r"\{(workspaceRoot|projectRoot|projectName|options\.outputPath)\}/?")
_MOST_PROJECTS = 2000
#: More than this is no description of a project.
_LARGEST = 1_048_576


@dataclass(frozen=True)
class NxApp:
    """An app of an Nx workspace; paths are those of the version."""

    directory: str
    name: str
    #: What says so: its project.json, or its package.json.
    source: str
    #: None for one that no known framework builds.
    framework: str | None
    #: Whether it is a program that has to run.
    program: bool
    #: Where its build says that it writes, "" when it does not say.
    output: str
    workspace: ProjectView = field(compare=False)


def nx_workspace(files: ProjectFiles, directory: str) -> ProjectView | None:
    """The nearest directory at or above `directory` with an nx.json and the package.json of its packages."""
    for at in _upwards(directory):
        if joined(at, "nx.json") in files.paths() and joined(at, "package.json") in files.paths():
            return ProjectView(files, at, read_manifest(files, joined(at, "package.json")))
    return None


def nx_app(files: ProjectFiles, directory: str) -> NxApp | None:
    """The app in `directory`; None for a workspace's root, for libraries, and for a package with a build script of its own."""
    workspace = nx_workspace(files, directory)
    if workspace is None or workspace.root == directory:
        return None
    view = ProjectView(files, directory, read_manifest(files, joined(directory, "package.json")))
    if view.manifest is not None and (view.manifest.scripts.get("build", "").strip() or _is_library(view.manifest)):
        return None
    described = _described(view)
    if described.get("projectType", "application") != "application" or directory.endswith("-e2e"):
        return None
    build = _build(described)
    framework, program = _framework(view, build)
    if framework is None and not program and not (build and described.get("projectType") == "application"):
        return None
    name = described.get("name") or (view.manifest and view.manifest.text("name")) or posixpath.basename(directory)
    return NxApp(
        directory=directory,
        name=str(name),
        source=joined(directory, "project.json" if view.has("project.json") else "package.json"),
        framework=framework,
        program=program,
        output=_output(build, workspace.root, directory, str(name)),
        workspace=workspace,
    )


def nx_apps(workspace: ProjectView) -> list[NxApp]:
    """Every app below the root of an Nx workspace, sorted by directory; none when the root is a project itself."""
    if not workspace.has("nx.json") or workspace.has("project.json"):
        return []
    found = {
        name.rpartition("/")[0]
        for name in workspace.names
        if name.endswith(("/project.json", "/package.json")) and "node_modules/" not in name
    }
    return [
        app
        for name in sorted(found)[:_MOST_PROJECTS]
        if (app := nx_app(workspace.files, joined(workspace.root, name))) and app.workspace.root == workspace.root
    ]


def _upwards(directory: str) -> Iterator[str]:
    yield directory
    while directory:
        directory = directory.rpartition("/")[0]
        yield directory


def _described(view: ProjectView) -> dict[str, Any]:
    """What project.json says, or the field `nx` of package.json."""
    text = view.text("project.json")
    if text is None:
        own = view.manifest.raw.get("nx") if view.manifest else None
        return own if isinstance(own, dict) else {}
    try:
        return read_json(text[:_LARGEST])
    except (ValueError, RecursionError):
        return {}


def _build(described: dict[str, Any]) -> dict[str, Any]:
    targets = described.get("targets") or described.get("architect")
    build = targets.get("build") if isinstance(targets, dict) else None
    return build if isinstance(build, dict) else {}


def _framework(view: ProjectView, build: dict[str, Any]) -> tuple[str | None, bool]:
    """The framework that builds it, and whether it is a program."""
    package, _, _ = str(build.get("executor") or build.get("builder") or "").partition(":")
    scope, _, maker = package.rpartition("/")
    if scope in ("@nx", "@nrwl", "@angular-devkit", "@angular", "@nxext"):
        program = maker in _PROGRAMS or _options(build).get("target") == "node"
        return (None, True) if program else (_EXECUTORS.get(maker), False)
    config = view.first(*(f"{name}.{ending}" for name in _CONFIGS for ending in _ENDINGS))
    return (_CONFIGS[config.rpartition(".")[0]], False) if config else (None, False)


def _options(build: dict[str, Any]) -> dict[str, Any]:
    """Options of a production build."""
    usual, configurations = build.get("options"), build.get("configurations")
    wish = build.get("defaultConfiguration", "production")
    special = configurations.get(wish) if isinstance(configurations, dict) and isinstance(wish, str) else None
    return {**(usual if isinstance(usual, dict) else {}), **(special if isinstance(special, dict) else {})}


def _output(build: dict[str, Any], workspace: str, directory: str, name: str) -> str:
    """`outputPath` of the build, else the first of its `outputs` that is a directory of its own."""
    path = _options(build).get("outputPath")
    base = path.get("base") if isinstance(path, dict) else path
    outputs = build.get("outputs")
    named = [base, *(outputs if isinstance(outputs, list) else [])]
    for text in named:
        if not isinstance(text, str) or "options." in text or not text.strip("./"):
            continue
        below = _TOKEN.sub(lambda token: _meaning(token[1], workspace, directory, name), text)
        place = posixpath.normpath(posixpath.join("/", workspace, below)).strip("/")
        if "{" not in place and place not in (workspace, directory):
            return place
    return ""


def _meaning(token: str, workspace: str, directory: str, name: str) -> str:
    """What a token of Nx stands for, as seen from the workspace's root, with the slash behind it."""
    if token == "projectRoot":  # noqa: S105 - no secret
        return f"{posixpath.relpath(f'/{directory}', f'/{workspace}')}/"
    return f"{name}/" if token == "projectName" else ""  # noqa: S105 - no secret


def _is_library(manifest: Manifest) -> bool:
    return any(name in manifest.raw for name in ("exports", "module", "types", "bin", "publishConfig"))
