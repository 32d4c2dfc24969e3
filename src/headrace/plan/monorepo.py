"""Building one app of a workspace: the packages of the same repository that it uses are built before it, and nothing else."""

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from headrace.model.diagnostic import FailureReason
from headrace.model.plan import Choice
from headrace.plan.install_command import manager_env
from headrace.plan.install_inputs import directory_of
from headrace.plan.manifest import Manifest
from headrace.plan.package_manager import ManagerChoice
from headrace.plan.project_view import ProjectView, joined
from headrace.plan.refusal import refusal
from headrace.plan.workspace import workspace_of

#: Tools that know the tasks of a repository: file -> name.
_TOOLS = {"turbo.json": "turbo", "turbo.jsonc": "turbo", "nx.json": "nx", "lerna.json": "lerna"}

#: What turbo is told: nothing leaves the sandbox, variables reach the scripts, and pnpm does not install again.
_TURBO_ENV = {
    "DO_NOT_TRACK": "1",
    "TURBO_TELEMETRY_DISABLED": "1",
    "pnpm_config_verify_deps_before_run": "false",
}


@dataclass(frozen=True)
class MemberBuild:
    """The command that builds an app with what it uses, run in the app's directory."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    choice: Choice


def build_with_members(
    view: ProjectView, workspace: ProjectView, members: Sequence[Manifest], manager: ManagerChoice, script: str
) -> MemberBuild | None:
    """None when no other package has to be built first: the app's own script is all."""
    app = view.manifest
    if app is None or app.path not in {member.path for member in members}:
        return None
    used = [member for member in used_members(app, members) if member.scripts.get("build", "").strip()]
    if command := _turbo(app, workspace, script):
        names = ", ".join(_name(member) for member in used)
        why = f"turbo builds {names} before it" if names else "turbo runs the tasks that it depends on"
        choice = Choice(subject="build command", value=" ".join(command), why=why, source=_tool_file(workspace) or "")
        return MemberBuild(command, {**manager_env(manager), **_TURBO_ENV}, choice)
    if not used:
        return None
    run = " ".join((manager.name, *_quiet(manager), "run"))
    steps = [f"(cd {shlex.quote(_way(view.root, directory_of(member)))} && {run} build)" for member in used]
    line = " && ".join((*steps, f"{run} {shlex.quote(script)}"))
    names = ", ".join(_name(member) for member in used)
    why = f"{app.path} depends on {names} of the same repository, which {'is' if len(used) == 1 else 'are'} built first"
    choice = Choice(subject="build command", value=line, why=why, source=app.path)
    return MemberBuild(("sh", "-c", line), manager_env(manager), choice)


def refuse_rush(view: ProjectView) -> None:
    """Raises StepFailed for a project of a repository that Rush installs: it fetches itself and its package manager."""
    if "rush.json" not in view.files.paths() or workspace_of(view).root != view.root:
        return
    raise refusal(
        FailureReason.UNSUPPORTED,
        "this repository is installed by Rush, which can't be run here",
        hint="name the projects as a workspace (pnpm-workspace.yaml at the root, with pnpm-lock.yaml beside it)",
        file="rush.json",
    )


def monorepo_tool(workspace: ProjectView) -> str | None:
    """The tool that knows the repository's tasks, if it has one."""
    file = _tool_file(workspace)
    return _TOOLS[file.rpartition("/")[2]] if file else None


def used_members(app: Manifest, members: Sequence[Manifest]) -> list[Manifest]:
    """Members that `app` depends on, directly or not, each behind what it depends on itself."""
    by_name = {name: member for member in members if (name := member.text("name")) is not None}
    done: dict[str, Manifest] = {}
    # A stack instead of recursion: a stranger decides how deep it goes.
    waiting: list[tuple[Manifest, Iterator[Manifest]]] = [(app, _direct(app, by_name))]
    open_now = {app.path}
    while waiting:
        member, rest = waiting[-1]
        following = next(rest, None)
        if following is None:
            waiting.pop()
            done[member.path] = member
        elif following.path not in open_now:
            open_now.add(following.path)
            waiting.append((following, _direct(following, by_name)))
    return [member for path, member in done.items() if path != app.path]


def _direct(member: Manifest, by_name: Mapping[str, Manifest]) -> Iterator[Manifest]:
    return iter([by_name[name] for name in sorted(member.dependencies) if name in by_name])


def _turbo(app: Manifest, workspace: ProjectView, script: str) -> tuple[str, ...] | None:
    """The command, where the repository's turbo has the task and can know its package manager."""
    manifest = workspace.manifest
    if monorepo_tool(workspace) != "turbo" or manifest is None or "turbo" not in manifest.dependencies:
        return None
    text = workspace.text("turbo.json") or workspace.text("turbo.jsonc") or ""
    name = app.text("name")
    if name is None or not re.search(rf'"{re.escape(script)}"\s*:', text) or manifest.text("packageManager") is None:
        return None
    # --force: what an earlier build left is not taken for this one's. Loose: turbo.json seldom names every variable.
    return ("turbo", "run", script, f"--filter={name}", "--force", "--env-mode=loose")


def _tool_file(workspace: ProjectView) -> str | None:
    found = workspace.first(*_TOOLS)
    return joined(workspace.root, found) if found else None


def _quiet(manager: ManagerChoice) -> tuple[str, ...]:
    # pnpm 11 and later would install again first, and the build has no registry.
    return ("--config.verify-deps-before-run=false",) if manager.name == "pnpm" else ()


def _way(start: str, target: str) -> str:
    return posixpath.relpath(f"/{target}", f"/{start}")


def _name(member: Manifest) -> str:
    return member.text("name") or directory_of(member)
