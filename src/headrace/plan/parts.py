"""The parts of a plan that run with Node: tools, install, build command, development server."""

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.model.limits import Limits
from headrace.model.plan import Choice, Ignored, PlannedCommand, Tool
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
from headrace.plan.detectors.base import Detected
from headrace.plan.hosts.read import Hosts
from headrace.plan.install import InstallChoice, choose_install
from headrace.plan.limits import PlanLimits
from headrace.plan.monorepo import build_with_members, refuse_rush, used_members
from headrace.plan.nested_managers import nested_managers
from headrace.plan.package_manager import ManagerChoice, choose_manager
from headrace.plan.project_file import ProjectFile
from headrace.plan.project_view import ProjectView
from headrace.plan.toolchain import NodeChoice, choose_node
from headrace.plan.workspace import workspace_of


@dataclass(frozen=True)
class Wanted:
    """What decides a plan: the project, what it was recognised as, what its files say, and what the operator allows."""

    view: ProjectView
    detected: Detected
    file: ProjectFile
    hosts: Hosts
    settings: ProjectSettings
    limits: PlanLimits


@dataclass(frozen=True)
class Parts:
    """What a build with Node is made of."""

    manager: ManagerChoice
    node: NodeChoice
    install: InstallChoice
    #: None for a project that has nothing to build with.
    build: PlannedCommand | None
    dev: PlannedCommand | None
    choices: tuple[Choice, ...]
    ignored: tuple[Ignored, ...]
    #: Package managers that scripts call beside the one that installs.
    nested: tuple[Tool, ...] = ()

    @property
    def tools(self) -> tuple[Tool, ...]:
        return Tool(name="node", version=self.node.version), self.manager.tool, *self.nested


def needs_node(wanted: Wanted) -> bool:
    """Whether anything is run at all."""
    found = wanted.detected
    return found.script is not None or found.dev_script is not None or wanted.file.build.command is not None


def parts_of(wanted: Wanted) -> Parts:
    """Raises StepFailed when the tools can't be chosen, or a static project has neither a build nor a development script."""
    view, file, limits = wanted.view, wanted.file, wanted.limits
    script = _script(wanted)
    if script is None and wanted.detected.kind == "static" and wanted.detected.dev_script is None:
        require_script(view, wanted.detected.script or "build", wanted.detected.framework)
    refuse_rush(view)
    node = choose_node(view, file)
    workspace = workspace_of(view)
    manager = choose_manager(workspace, node.major, file)
    seconds = file.limits.install_seconds
    install = choose_install(view, workspace, manager, file, _lowered(wanted, seconds=seconds, install=True))
    in_workspace = workspace.root != view.root or bool(install.members)
    network, refused = build_network(file.build.network, wanted.settings.build_network, limits)
    base = PlannedCommand(
        argv=("true",),
        directory=view.root,
        network=network,
        limits=_lowered(wanted, seconds=file.limits.build_seconds, install=False),
    )
    build, choice = None, None
    if script is not None:
        argv, expected, choice = _words(wanted, manager, script, node.version, in_workspace=in_workspace)
        if script != _COMMAND and (
            with_members := build_with_members(view, workspace, install.members, manager, script)
        ):
            argv, expected, choice = with_members.argv, with_members.env, with_members.choice
        if not workspace.root and not view.root and file.build.command is None:
            argv = after_lifecycle(argv, install.needs, manager)
        env = build_env(file, wanted.settings.env, expected)
        build = base.but(argv=argv, env=env, secrets=tuple(sorted(set(file.build.secrets))))
    dev = _dev(wanted, manager, base, in_workspace=in_workspace, node_version=node.version)
    network_choice = Choice(
        subject="network of the build",
        value=network.value,
        why="asked for" if network != "none" else "a build that reaches nothing gives the same result every time",
        source=f"{file.path} build.network" if file.build.network else "the project's settings",
    )
    choices = (*manager.choices[:1], node.choice, *manager.choices[1:], *install.choices)
    if choice is not None:
        choices += (choice, network_choice)
    ignored = (*node.ignored, *manager.ignored, *install.ignored, *_network_ignored(file, limits, refused=refused))
    run = [m for m in (view.manifest, workspace.manifest) if m]
    run += used_members(run[0], install.members) if run else []
    nested = nested_managers(manager, run, node.major, workspace)
    return Parts(manager, node, install, build, dev, choices, ignored, nested)


#: Stands for a command that no script holds.
_COMMAND = ""


def _script(wanted: Wanted) -> str | None:
    """The script that builds; `_COMMAND` for a command line; None when there is nothing to build with."""
    scripts = wanted.view.manifest.scripts if wanted.view.manifest else {}
    if wanted.file.build.command is not None:
        return _COMMAND
    if wanted.hosts.script is not None:
        return wanted.hosts.script[0]
    name = wanted.detected.script
    if name is not None and scripts.get(name, "").strip():
        return name
    return _COMMAND if name is not None and wanted.detected.command is not None else None


def _words(
    wanted: Wanted, manager: ManagerChoice, script: str, node_version: str, *, in_workspace: bool
) -> tuple[tuple[str, ...], Mapping[str, str], Choice]:
    """Words of the build command, variables that it expects, and why it is this one."""
    if (own := own_command(wanted.file)) is not None:
        return own[0], {}, own[1]
    if script != _COMMAND:
        argv, expected, choice = script_command(
            wanted.view, manager, script, in_workspace=in_workspace, node_version=node_version
        )
        if wanted.hosts.script is not None:
            choice = choice.but(why=f"{wanted.hosts.script[1]} names this script; {choice.why}")
        return argv, expected, choice
    command = wanted.detected.command or ""
    usual = f"no script of package.json builds it; this is what {wanted.detected.framework} is built with"
    why = wanted.detected.command_why or usual
    choice = Choice(subject="build command", value=command, why=why, source=wanted.detected.source)
    return ("sh", "-c", command), wanted.detected.command_env, choice


def _dev(
    wanted: Wanted, manager: ManagerChoice, base: PlannedCommand, *, in_workspace: bool, node_version: str
) -> PlannedCommand | None:
    name = wanted.detected.dev_script
    scripts = wanted.view.manifest.scripts if wanted.view.manifest else {}
    if name is None or not scripts.get(name, "").strip():
        return None
    argv, expected, _ = script_command(wanted.view, manager, name, in_workspace=in_workspace, node_version=node_version)
    own = {key: value for key, value in build_env(wanted.file, wanted.settings.env, {}).items() if key != "NODE_ENV"}
    return base.but(argv=argv, env={**expected, **own})


def _lowered(wanted: Wanted, *, seconds: float | None, install: bool) -> Limits:
    lower = wanted.file.limits
    limits = wanted.limits.of_install() if install else wanted.limits.of_build()
    return lowered(limits, seconds=seconds, memory=lower.memory_bytes, cpus=lower.cpus)


def _network_ignored(file: ProjectFile, limits: PlanLimits, *, refused: bool) -> tuple[Ignored, ...]:
    if not refused:
        return ()
    why = f"the operator allows {limits.build_network.value} at most"
    return (Ignored(source=file.path, setting="build.network", why=why),)
