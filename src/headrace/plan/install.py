"""The install step: one command, the files it may see, and the directories that become a layer."""

import re
from dataclasses import dataclass, field

from headrace.model.digest import digest_of
from headrace.model.limits import Limits, NetworkPhase
from headrace.model.plan import Choice, Install, KeyInput, PlannedCommand
from headrace.plan.lifecycle import LifecycleNeeds, lifecycle_needs
from headrace.plan.manifest import Manifest
from headrace.plan.package_manager import ManagerChoice
from headrace.plan.project_file import ProjectFile
from headrace.plan.project_view import ProjectView, joined
from headrace.plan.workspace import member_manifests

#: Files beside the manifest that package managers read.
_SETTINGS = (".npmrc", "pnpm-workspace.yaml", ".pnpmfile.cjs", ".pnpmfile.mjs", "pnpmfile.js", ".pnpmrc")

_SKIP_AUDIT = ("--no-audit", "--no-fund")


@dataclass(frozen=True)
class InstallChoice:
    install: Install | None
    needs: LifecycleNeeds = field(default_factory=LifecycleNeeds)
    choices: tuple[Choice, ...] = ()
    #: Manifests of the other members of the workspace.
    members: tuple[Manifest, ...] = ()


def choose_install(
    workspace: ProjectView, manager: ManagerChoice, project_file: ProjectFile, limits: Limits
) -> InstallChoice:
    """`workspace` is where the dependencies are installed: the project, or the workspace it belongs to."""
    members = member_manifests(workspace)
    manifests = [m for m in (workspace.manifest, *members) if m]
    needs = lifecycle_needs(manifests)
    own = project_file.build.install
    if own is None and not needs.unknown and not any(m.has_dependencies for m in manifests):
        nothing = Choice(
            subject="install", value="none", why="no package.json names a dependency", source="package.json"
        )
        return InstallChoice(None, needs, (nothing,), members)
    argv, why, source = _argv(manager, project_file)
    every_file = bool(needs.unknown) or own is not None
    install = Install(
        command=PlannedCommand(
            argv=argv, directory=workspace.root, env=_env(manager), network=NetworkPhase.REGISTRIES, limits=limits
        ),
        inputs=tuple(sorted(workspace.files.paths())) if every_file else _inputs(workspace, manager, manifests, needs),
        outputs=tuple(joined(_directory(m), "node_modules") for m in manifests) or ("node_modules",),
        manifests=() if every_file else tuple(_digested(m) for m in manifests),
    )
    choices = [Choice(subject="install", value=" ".join(argv), why=why, source=source)]
    if needs.unknown:
        because = f"{' and '.join(needs.unknown)} may read any file and write beside node_modules"
        choices.append(Choice(subject="install inputs", value="all files", why=because, source=needs.unknown[0]))
    if registry := _registry(workspace):
        reach = "an install reaches only hosts that the operator allows"
        choices.append(Choice(subject="registry", value=registry, why=reach, source=joined(workspace.root, ".npmrc")))
    return InstallChoice(install, needs, tuple(choices), members)


def _argv(manager: ManagerChoice, project_file: ProjectFile) -> tuple[tuple[str, ...], str, str]:
    """Command, why, source."""
    own = project_file.build.install
    if own is not None:
        argv = ("sh", "-c", own) if isinstance(own, str) else own
        return argv, "the project says so", f"{project_file.path} build.install"
    frozen = manager.lock is not None and project_file.build.frozen
    argv = _npm(frozen) if manager.name == "npm" else _pnpm(frozen, manager)
    if frozen:
        return argv, f"exactly what {manager.lock} says; no time is spent on audits and adverts", manager.lock or ""
    if manager.lock:
        return argv, "the lock file may change: build.frozen is false", f"{project_file.path} build.frozen"
    return argv, "no lock file: versions are chosen at the time of the install and may differ the next time", "default"


def _npm(frozen: bool) -> tuple[str, ...]:
    # --include=dev: build tools are devDependencies, and a project's NODE_ENV=production would leave them out.
    # --prefer-offline: what the shared cache has is not asked for again.
    return ("npm", "ci" if frozen else "install", "--include=dev", "--prefer-offline", *_SKIP_AUDIT)


def _pnpm(frozen: bool, manager: ManagerChoice) -> tuple[str, ...]:
    # --prod=false: build tools are devDependencies, and up to version 11 NODE_ENV=production left them out.
    # The store lies beside node_modules, on one file system, so that packages are linked and not copied.
    flags = [
        "--frozen-lockfile" if frozen else "--no-frozen-lockfile",
        "--prod=false",
        "--prefer-offline",
        "--store-dir=.pnpm-store",
    ]
    if not manager.pinned:
        # Which pnpm wrote the lock file isn't known; up to version 10 unapproved install scripts were left out with a warning.
        flags.append("--config.strict-dep-builds=false")
    return ("pnpm", "install", *flags)


def _env(manager: ManagerChoice) -> dict[str, str]:
    # A registry that is away is said after seconds; the managers' own pauses add up to more than a minute.
    pauses = {"fetch_retry_mintimeout": "1000", "fetch_retry_maxtimeout": "5000"}
    env = {f"npm_config_{name}": value for name, value in pauses.items()}
    if manager.name == "npm":
        return {**env, "npm_config_update_notifier": "false"}
    return {**env, **{f"pnpm_config_{name}": value for name, value in pauses.items()}}


def _inputs(
    workspace: ProjectView, manager: ManagerChoice, manifests: list[Manifest], needs: LifecycleNeeds
) -> tuple[str, ...]:
    paths = workspace.files.paths()
    wanted = {m.path for m in manifests} | {joined(workspace.root, name) for name in _SETTINGS}
    if manager.lock:
        wanted.add(manager.lock)
    for manifest in manifests:
        base = _directory(manifest)
        wanted.add(joined(base, ".npmrc"))
        wanted |= {joined(base, program.removeprefix("./")) for program in _programs(manifest)}
    prefixes = (*needs.prefixes, joined(workspace.root, "patches/"), *_local_packages(manifests, workspace))
    found = {path for path in paths if path in wanted or path.startswith(prefixes)}
    return tuple(sorted(found))


def _programs(manifest: Manifest) -> list[str]:
    """Programs that a package offers: a package manager links them only if they exist when it runs."""
    programs = manifest.raw.get("bin")
    if isinstance(programs, dict):
        return [program for program in programs.values() if isinstance(program, str)]
    return [programs] if isinstance(programs, str) else []


def _local_packages(manifests: list[Manifest], workspace: ProjectView) -> list[str]:
    """Directories and files of the version that are dependencies themselves, by `file:`, or patches named in settings."""
    found = []
    for manifest in manifests:
        for wish in manifest.dependencies.values():
            match = re.fullmatch(r"(?:file|portal):(?:\./)?([\w@][\w@./-]*)", wish)
            if match and ".." not in match[1].split("/"):
                found.append(joined(_directory(manifest), match[1]))
    text = workspace.text("pnpm-workspace.yaml") or ""
    pnpm = workspace.manifest.raw.get("pnpm") if workspace.manifest else None
    patched = pnpm.get("patchedDependencies") if isinstance(pnpm, dict) else None
    patches = [
        *(patched.values() if isinstance(patched, dict) else ()),
        *re.findall(r":\s*['\"]?([\w@./+-]+\.patch)\b", text),
    ]
    return found + [joined(workspace.root, patch) for patch in patches if isinstance(patch, str) and patch]


def _digested(manifest: Manifest) -> KeyInput:
    return KeyInput(name=f"file {manifest.path}", digest=digest_of(manifest.for_installs()))


def _directory(manifest: Manifest) -> str:
    return manifest.path.rpartition("/")[0]


def _registry(view: ProjectView) -> str | None:
    """A registry that .npmrc names. Its credentials are on other lines."""
    match = re.search(r"^\s*(?:@[\w.-]+:)?registry\s*=\s*https?://([^/\s@]+)", view.text(".npmrc") or "", re.MULTILINE)
    return match[1] if match and match[1] != "registry.npmjs.org" else None
