"""A version in, a plan out. Nothing is run, no process and no socket is opened; all that is read are the version's files."""

import re
from dataclasses import dataclass

from headrace.model.diagnostic import FailureReason
from headrace.model.plan import BuildPlan, Choice, Ignored, PlannedCommand, Tool
from headrace.model.project import ProjectSettings
from headrace.plan.build_command import (
    after_lifecycle,
    build_env,
    build_network,
    lowered,
    own_command,
    require_script,
    script_command,
)
from headrace.plan.detectors import DETECTORS
from headrace.plan.detectors.base import Detected
from headrace.plan.foreign import foreign_settings
from headrace.plan.install import InstallChoice, choose_install
from headrace.plan.limits import PlanLimits
from headrace.plan.manifest import read_manifest
from headrace.plan.nothing import nothing_to_build
from headrace.plan.package_manager import ManagerChoice, choose_manager
from headrace.plan.project_file import ProjectFile, read_project_file
from headrace.plan.project_files import ProjectFiles
from headrace.plan.project_view import ProjectView, joined
from headrace.plan.refusal import config_error, refusal
from headrace.plan.routing import choose_routing
from headrace.plan.toolchain import NodeChoice, choose_node
from headrace.plan.workspace import workspace_of


@dataclass(frozen=True)
class _Parts:
    """What a build with Node is made of."""

    manager: ManagerChoice
    node: NodeChoice
    install: InstallChoice
    build: PlannedCommand
    dev: PlannedCommand | None
    choices: tuple[Choice, ...]
    ignored: tuple[Ignored, ...]

    @property
    def tools(self) -> tuple[Tool, ...]:
        return Tool(name="node", version=self.node.version), self.manager.tool


def make_plan(files: ProjectFiles, settings: ProjectSettings, limits: PlanLimits) -> BuildPlan:
    """
    The plan of a version: everything that decides what its build does, and why.

    Raises StepFailed for a project that can't be planned; its failure names what was looked for, what was found and what
    to write.
    """
    project_file = read_project_file(files, _directory(settings.root, "the project's settings"))
    root = _root(files, settings, project_file)
    view = ProjectView(files, root, read_manifest(files, joined(root, "package.json")))
    detected = _detect(view, project_file)
    parts = _parts(view, detected, project_file, settings, limits) if _runs(detected, project_file) else None
    routing, routing_choices = choose_routing(view, detected, project_file)
    output, output_choice = _output(detected, project_file)
    return BuildPlan(
        framework=detected.framework,
        # Whoever names the directory of the result knows that there is one.
        kind="static" if project_file.build.output is not None else detected.kind,
        root=root,
        package_manager=parts.manager.name if parts else None,
        tools=parts.tools if parts else (),
        install=parts.install.install if parts else None,
        build=parts.build if parts else None,
        dev=parts.dev if parts else None,
        output=joined(root, output),
        output_candidates=_candidates(root, output, detected, project_file),
        routing=routing,
        choices=(
            Choice(subject="framework", value=detected.framework, why=detected.why, source=detected.source),
            *(parts.choices if parts else ()),
            output_choice,
            *routing_choices,
            *detected.choices,
        ),
        ignored=(*(parts.ignored if parts else ()), *foreign_settings(view)),
    )


def _root(files: ProjectFiles, settings: ProjectSettings, project_file: ProjectFile) -> str:
    source = "the project's settings" if settings.root else f"{project_file.path} root"
    root = _directory(settings.root or project_file.root or "", source)
    if not root or any(path.startswith(f"{root}/") for path in files.paths()):
        return root
    what = "is a file" if root in files.paths() else "is not a directory of this version"
    there = sorted({path.rpartition("/")[0] for path in files.paths() if path.endswith("/package.json")})[:10]
    known = f"; directories with a package.json: {', '.join(there)}" if there else ""
    raise refusal(
        FailureReason.CONFIG_ERROR,
        f"the root directory {root!r} ({source}) {what}{known}",
        hint="name a directory of the project",
    )


def _directory(path: str, source: str) -> str:
    """A directory inside the version. Raises StepFailed for one that leaves it."""
    names = [name for name in path.split("/") if name not in ("", ".")]
    if path.startswith(("/", "~")) or ".." in names or re.search(r"[\0\n\r\\]", path):
        raise refusal(
            FailureReason.CONFIG_ERROR,
            f"{path[:100]!r} ({source}) is not a directory inside the project",
            hint="name it relative to the root of the version, such as apps/web",
        )
    return "/".join(names)


def _detect(view: ProjectView, project_file: ProjectFile) -> Detected:
    wish = project_file.build.framework
    by_name = {detector.framework: detector for detector in DETECTORS}
    if wish is not None and wish not in by_name:
        raise config_error(
            f"{project_file.path}: the framework {wish!r} is not known",
            hint=f"known are {', '.join(by_name)}; or leave it out and set command and output",
            file=project_file.path,
        )
    for detector in DETECTORS if wish is None else (by_name[wish],):
        if detected := detector.detect(view):
            return detected
    if project_file.build.output is not None:
        return Detected(
            framework=wish or ("script" if project_file.build.command else "static"),
            why="the project says what to run and where its result is",
            source=project_file.path,
            output=project_file.build.output,
            output_why="the project says so",
            published="public" if project_file.build.command else _inside(project_file, project_file.build.output),
        )
    raise nothing_to_build(view, wish)


def _runs(detected: Detected, project_file: ProjectFile) -> bool:
    return detected.script is not None or project_file.build.command is not None


def _parts(
    view: ProjectView, detected: Detected, project_file: ProjectFile, settings: ProjectSettings, limits: PlanLimits
) -> _Parts:
    own = own_command(project_file)
    script = detected.script or "build"
    if own is None:
        require_script(view, script, detected.framework)
    node = choose_node(view, project_file)
    workspace = workspace_of(view)
    manager = choose_manager(workspace, node.major, project_file)
    lower = project_file.limits
    install_limits = lowered(
        limits.of_install(), seconds=lower.install_seconds, memory=lower.memory_bytes, cpus=lower.cpus
    )
    install = choose_install(workspace, manager, project_file, install_limits)
    in_workspace = workspace.root != view.root or bool(install.members)
    expected: dict[str, str] = {}
    if own is not None:
        argv, choice = own
    else:
        argv, expected, choice = script_command(
            view, manager, script, in_workspace=in_workspace, node_version=node.version
        )
        argv = after_lifecycle(argv, install.needs, manager) if not workspace.root and not view.root else argv
    network, refused = build_network(project_file.build.network, settings.build_network, limits)
    build = PlannedCommand(
        argv=argv,
        directory=view.root,
        env=build_env(project_file, settings.env, expected),
        network=network,
        limits=lowered(limits.of_build(), seconds=lower.build_seconds, memory=lower.memory_bytes, cpus=lower.cpus),
    )
    dev = _dev(view, manager, build, in_workspace=in_workspace, node_version=node.version)
    ignored = (*node.ignored, *manager.ignored, *_network_ignored(project_file, limits, refused=refused))
    network_choice = Choice(
        subject="network of the build",
        value=network.value,
        why="asked for" if network != "none" else "a build that reaches nothing gives the same result every time",
        source=f"{project_file.path} build.network" if project_file.build.network else "the project's settings",
    )
    choices = (*manager.choices[:1], node.choice, *manager.choices[1:], *install.choices, choice, network_choice)
    return _Parts(manager, node, install, build, dev, choices, ignored)


def _dev(
    view: ProjectView, manager: ManagerChoice, build: PlannedCommand, *, in_workspace: bool, node_version: str
) -> PlannedCommand | None:
    """The development server's command: the first script that is usually one."""
    scripts = view.manifest.scripts if view.manifest else {}
    name = next((name for name in ("dev", "develop", "serve", "start") if scripts.get(name, "").strip()), None)
    if name is None:
        return None
    argv, expected, _ = script_command(view, manager, name, in_workspace=in_workspace, node_version=node_version)
    own = {key: value for key, value in build.env.items() if not key.startswith("npm_") and key != "NODE_ENV"}
    return build.but(argv=argv, env={**expected, **own})


def _network_ignored(project_file: ProjectFile, limits: PlanLimits, *, refused: bool) -> tuple[Ignored, ...]:
    if not refused:
        return ()
    why = f"the operator allows {limits.build_network.value} at most"
    return (Ignored(source=project_file.path, setting="build.network", why=why),)


def _output(detected: Detected, project_file: ProjectFile) -> tuple[str, Choice]:
    if project_file.build.output is None:
        value = detected.output
        return value, Choice(subject="output", value=value or ".", why=detected.output_why, source=detected.source)
    value = _inside(project_file, project_file.build.output)
    source = f"{project_file.path} build.output"
    return value, Choice(subject="output", value=value or ".", why="the project says so", source=source)


def _candidates(root: str, output: str, detected: Detected, project_file: ProjectFile) -> tuple[str, ...]:
    """Other directories to look at. A setting is an order: when it is wrong, that is said and nothing is guessed."""
    if project_file.build.output is not None:
        return ()
    return tuple(joined(root, other) for other in dict.fromkeys(detected.output_candidates) if other != output)


def _inside(project_file: ProjectFile, output: str) -> str:
    return _directory(output, f"{project_file.path} build.output")
