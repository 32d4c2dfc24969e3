"""The install step: one command, the files it may see, and the directories that become a layer."""

import re
from dataclasses import dataclass, field

from headrace.model.digest import digest_of
from headrace.model.limits import Limits, NetworkPhase
from headrace.model.plan import Choice, Ignored, Install, KeyInput, PlannedCommand
from headrace.plan.install_command import install_argv, install_env, layer_files
from headrace.plan.install_inputs import directory_of, install_inputs
from headrace.plan.install_scripts import install_scripts
from headrace.plan.lifecycle import LifecycleNeeds, lifecycle_needs
from headrace.plan.manifest import Manifest
from headrace.plan.package_manager import ManagerChoice
from headrace.plan.project_file import ProjectFile
from headrace.plan.project_view import ProjectView, joined
from headrace.plan.unchecked import unchecked_packages
from headrace.plan.workspace import member_manifests
from headrace.plan.workspace_part import WorkspacePart, part_of


@dataclass(frozen=True)
class InstallChoice:
    install: Install | None
    needs: LifecycleNeeds = field(default_factory=LifecycleNeeds)
    choices: tuple[Choice, ...] = ()
    #: Manifests of the members of the workspace, installed or not.
    members: tuple[Manifest, ...] = ()
    ignored: tuple[Ignored, ...] = ()


def choose_install(
    view: ProjectView, workspace: ProjectView, manager: ManagerChoice, project_file: ProjectFile, limits: Limits
) -> InstallChoice:
    """`workspace` is where the dependencies of `view` are installed: the project, or the workspace it belongs to."""
    members = member_manifests(workspace)
    found = part_of(view, workspace, members, manager, project_file)
    part = found if isinstance(found, WorkspacePart) else None
    ignored = (found,) if isinstance(found, Ignored) else ()
    manifests = [m for m in (workspace.manifest, *(part.members if part else members)) if m]
    needs = lifecycle_needs(manifests)
    own = project_file.build.install
    if own is None and not needs.unknown and not any(m.has_dependencies for m in manifests):
        nothing = Choice(
            subject="install", value="none", why="no package.json names a dependency", source="package.json"
        )
        return InstallChoice(None, needs, (nothing,), members, ignored)
    argv, why, source = _argv(manager, project_file)
    argv += part.flags if part else ()
    every_file = bool(needs.unknown) or own is not None
    every_path = tuple(sorted(workspace.files.paths()))
    install = Install(
        command=PlannedCommand(
            argv=argv,
            directory=workspace.root,
            env=install_env(manager),
            secrets=tuple(sorted(set(project_file.build.install_secrets))),
            network=NetworkPhase.REGISTRIES,
            limits=limits,
        ),
        inputs=every_path if every_file else install_inputs(workspace, manager, manifests, needs),
        outputs=_outputs(workspace, manager, manifests),
        manifests=() if every_file else tuple(_digested(m) for m in manifests),
    )
    choices = [Choice(subject="install", value=" ".join(argv), why=why, source=source)]
    if part:
        choices.append(part.choice)
    if needs.unknown:
        because = f"{' and '.join(needs.unknown)} may read any file and write beside node_modules"
        choices.append(Choice(subject="install inputs", value="all files", why=because, source=needs.unknown[0]))
    if own is None:
        choices.append(install_scripts(workspace, manager))
    if unchecked := unchecked_packages(workspace, manager):
        choices.append(unchecked)
    if registry := _registry(workspace):
        reach = "an install reaches only hosts that the operator allows"
        choices.append(Choice(subject="registry", value=registry, why=reach, source=joined(workspace.root, ".npmrc")))
    return InstallChoice(install, needs, tuple(choices), members, ignored)


def _argv(manager: ManagerChoice, project_file: ProjectFile) -> tuple[tuple[str, ...], str, str]:
    """Command, why, source."""
    own = project_file.build.install
    if own is not None:
        argv = ("sh", "-c", own) if isinstance(own, str) else own
        return argv, "the project says so", project_file.where("build.install")
    frozen = manager.lock is not None and project_file.build.frozen
    argv = install_argv(manager, frozen=frozen)
    if frozen:
        return argv, f"exactly what {manager.lock} says; no time is spent on audits and adverts", manager.lock or ""
    if manager.lock:
        return argv, "the lock file may change: build.frozen is false", f"{project_file.path} build.frozen"
    return argv, "no lock file: versions are chosen at the time of the install and may differ the next time", "default"


def _outputs(workspace: ProjectView, manager: ManagerChoice, manifests: list[Manifest]) -> tuple[str, ...]:
    modules = tuple(joined(directory_of(m), "node_modules") for m in manifests) or ("node_modules",)
    return (*modules, *(joined(workspace.root, name) for name in layer_files(manager)))


def _digested(manifest: Manifest) -> KeyInput:
    return KeyInput(name=f"file {manifest.path}", digest=digest_of(manifest.for_installs()))


def _registry(view: ProjectView) -> str | None:
    """A registry that .npmrc names. Its credentials are on other lines."""
    match = re.search(r"^\s*(?:@[\w.-]+:)?registry\s*=\s*https?://([^/\s@]+)", view.text(".npmrc") or "", re.MULTILINE)
    return match[1] if match and match[1] != "registry.npmjs.org" else None
