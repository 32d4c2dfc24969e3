"""The build command: the project's own script, run without a package manager in between where that means the same."""

import re
from collections.abc import Mapping

from headrace.model.diagnostic import FailureReason
from headrace.model.limits import Limits, NetworkPhase
from headrace.model.plan import Choice
from headrace.plan.install_command import manager_env
from headrace.plan.lifecycle import LifecycleNeeds
from headrace.plan.limits import PlanLimits
from headrace.plan.manifest import Manifest
from headrace.plan.package_manager import ManagerChoice
from headrace.plan.project_file import ProjectFile
from headrace.plan.project_view import ProjectView, joined
from headrace.plan.refusal import refusal

#: Variables that a package manager sets for scripts and that are set here too. Others are a reason to ask the manager.
_OWN_VARIABLES = re.compile(r"npm_(?:package_(?:name|version)|lifecycle_event|command|config_user_agent)\b")

#: Settings of .npmrc that change how scripts run.
_SCRIPT_SETTINGS = re.compile(
    r"^\s*(script-shell|shell-emulator|node-options|scriptShell|shellEmulator)\s*[=:]", re.MULTILINE
)

#: Programs that run other scripts by npm unless a package manager says that it is another one.
_RUNS_SCRIPTS = re.compile(r"\b(run-s|run-p|npm-run-all2?)\b|\bnpm:")

_WIDTH = [NetworkPhase.NONE, NetworkPhase.REGISTRIES, NetworkPhase.GIT, NetworkPhase.INTERNET]


def script_command(
    view: ProjectView, manager: ManagerChoice, script: str, *, in_workspace: bool, node_version: str
) -> tuple[tuple[str, ...], dict[str, str], Choice]:
    """Words of the command, variables that it expects, and why."""
    manifest = view.manifest
    assert manifest is not None  # noqa: S101 - a script stands in a manifest
    text = manifest.scripts[script]
    source = f"{manifest.path} scripts.{script}"
    why_not = _needs_manager(view, manager, script, in_workspace=in_workspace)
    if why_not:
        # pnpm 11 and later would install again first, and the build has no registry.
        quiet = ("--config.verify-deps-before-run=false",) if manager.name == "pnpm" else ()
        argv = (manager.name, *quiet, "run", script)
        choice = Choice(subject="build command", value=" ".join(argv), why=why_not, source=source)
        return argv, manager_env(manager), choice
    choice = Choice(
        subject="build command",
        value=text,
        why=f"the script as it is, in `sh -c`: {manager.name} run would do the same and cost about 150 ms",
        source=source,
    )
    expected = {**_script_variables(manifest, manager, script, node_version), **manager_env(manager)}
    return ("sh", "-c", text), expected, choice


def _needs_manager(view: ProjectView, manager: ManagerChoice, script: str, *, in_workspace: bool) -> str | None:
    """Why the script can't be run without its package manager; None when it can."""
    manifest = view.manifest
    if manifest is None:
        return None
    if manager.pnp:
        return "Plug'n'Play: there is no node_modules, and yarn tells Node where packages are"
    around = [name for name in (f"pre{script}", f"post{script}") if name in manifest.scripts]
    # Yarn 2 and later runs no scripts around those of a project.
    if around and not manager.berry:
        return f"{manager.name} also runs {' and '.join(around)}"
    if in_workspace:
        return f"a member of a workspace: {manager.name} finds the programs of the others"
    text = manifest.scripts[script]
    if re.search(r"npm_|INIT_CWD|pnpm_", _OWN_VARIABLES.sub("", text)):
        return f"the script reads variables that {manager.name} sets"
    if manager.name != "npm" and _RUNS_SCRIPTS.search(text):
        return f"the script starts others: {manager.name} tells it how"
    if isinstance(manifest.raw.get("config"), dict):
        return f"package.json has a config that {manager.name} hands to scripts"
    if any(_SCRIPT_SETTINGS.search(view.text(name) or "") for name in (".npmrc", "pnpm-workspace.yaml")):
        return "its settings change how scripts run"
    return None


def _script_variables(manifest: Manifest, manager: ManagerChoice, script: str, node_version: str) -> dict[str, str]:
    given = {
        "npm_command": "run",
        "npm_config_user_agent": f"{manager.name}/{manager.tool.version} node/v{node_version} linux",
        "npm_lifecycle_event": script,
        "npm_lifecycle_script": manifest.scripts[script],
        "npm_package_name": manifest.text("name") or "",
        "npm_package_version": manifest.text("version") or "",
    }
    return {name: value for name, value in given.items() if value and "\0" not in value}


def own_command(project_file: ProjectFile) -> tuple[tuple[str, ...], Choice] | None:
    """The command that `headrace.toml` names."""
    own = project_file.build.command
    if own is None:
        return None
    argv = ("sh", "-c", own) if isinstance(own, str) else own
    text = own if isinstance(own, str) else " ".join(own)
    source = project_file.where("build.command")
    return argv, Choice(subject="build command", value=text, why="the project says so", source=source)


def after_lifecycle(argv: tuple[str, ...], needs: LifecycleNeeds, manager: ManagerChoice) -> tuple[str, ...]:
    """
    The command, behind the project's own install scripts where these may write beside node_modules.

    A layer keeps node_modules only; what such a script writes elsewhere is made again over the whole tree.
    """
    again = [name.split()[1] for name in needs.unknown if name.startswith("package.json ")]
    again = [name for name in again if name in ("postinstall", "prepare")]
    if not again:
        return argv
    command = argv[2] if argv[:2] == ("sh", "-c") else " ".join(argv)
    before = " && ".join(f"{manager.name} run {name}" for name in again)
    # A group, so that an `||` of the script can't take its end for theirs.
    return ("sh", "-c", f"{before} && {{\n{command}\n}}")


def require_script(view: ProjectView, script: str, framework: str) -> None:
    """Raises StepFailed when the project has no such script."""
    manifest = view.manifest
    if manifest is not None and manifest.scripts.get(script, "").strip():
        return
    path = joined(view.root, "package.json")
    names = ", ".join(sorted(manifest.scripts)[:12]) if manifest and manifest.scripts else "none"
    raise refusal(
        FailureReason.MISSING_SCRIPT,
        f'{path} has no "{script}" script, and a {framework} project needs one to be built; its scripts: {names}',
        hint=f'add "scripts": {{"{script}": "…"}} to {path}, or set command below [build] in headrace.toml',
        file=path,
        line=_line_of_scripts(view),
    )


def _line_of_scripts(view: ProjectView) -> int | None:
    lines = (view.text("package.json") or "").splitlines()
    return next((number for number, line in enumerate(lines, start=1) if '"scripts"' in line), None)


def build_network(asked: NetworkPhase | None, setting: NetworkPhase, limits: PlanLimits) -> tuple[NetworkPhase, bool]:
    """The build command's network, and whether the project asked for more than it may have."""
    wish = asked if asked is not None else setting
    if _WIDTH.index(wish) > _WIDTH.index(limits.build_network):
        return limits.build_network, True
    return wish, False


def lowered(limits: Limits, *, seconds: float | None, memory: int | None, cpus: float | None) -> Limits:
    """The limits, lowered to what the project asks for; never raised."""
    return limits.but(
        seconds=min(limits.seconds, seconds or limits.seconds),
        memory_bytes=min(limits.memory_bytes, memory or limits.memory_bytes),
        cpus=min(limits.cpus, cpus or limits.cpus),
    )


def build_env(project_file: ProjectFile, setting: Mapping[str, str], expected: Mapping[str, str]) -> dict[str, str]:
    """Variables of the build command: what scripts expect, then what the project's file says."""
    usual = {} if "NODE_ENV" in setting else {"NODE_ENV": "production"}
    return {**usual, **expected, **project_file.env}
