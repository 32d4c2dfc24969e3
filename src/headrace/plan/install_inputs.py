"""Which files an install may see: those that package managers read, and nothing that could change its result unseen."""

import posixpath
import re
from collections.abc import Iterator

from headrace.plan.lifecycle import LifecycleNeeds
from headrace.plan.manifest import Manifest
from headrace.plan.package_manager import ManagerChoice
from headrace.plan.project_view import ProjectView, joined

#: Files beside the manifest that package managers read.
_SETTINGS = (".npmrc", "pnpm-workspace.yaml", ".pnpmfile.cjs", ".pnpmfile.mjs", "pnpmfile.js", ".pnpmrc")
_OWN_SETTINGS: dict[str, tuple[str, ...]] = {
    "yarn": (".yarnrc", ".yarnrc.yml", "yarn.config.cjs"),
    "bun": ("bunfig.toml",),
}
#: Directories of Yarn 2 and later that hold parts of an install: a committed cache, patches, plugins.
_YARN_DIRECTORIES = (".yarn/cache/", ".yarn/patches/", ".yarn/plugins/")


def install_inputs(
    workspace: ProjectView, manager: ManagerChoice, manifests: list[Manifest], needs: LifecycleNeeds
) -> tuple[str, ...]:
    """Paths relative to the root of the version, sorted."""
    settings = (*_SETTINGS, *_OWN_SETTINGS.get(manager.name, ()))
    wanted = {m.path for m in manifests} | {joined(workspace.root, name) for name in settings}
    if manager.lock:
        wanted.add(manager.lock)
    for manifest in manifests:
        base = directory_of(manifest)
        wanted.add(joined(base, ".npmrc"))
        wanted |= {joined(base, program.removeprefix("./")) for program in _programs(manifest)}
    prefixes = (
        *needs.prefixes,
        joined(workspace.root, "patches/"),
        *_local_packages(manifests, workspace),
        *(_of_yarn(workspace) if manager.name == "yarn" else ()),
    )
    found = {path for path in workspace.files.paths() if path in wanted or path.startswith(prefixes)}
    return tuple(sorted(found))


def directory_of(manifest: Manifest) -> str:
    return manifest.path.rpartition("/")[0]


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
            match = re.fullmatch(r"(?:file|portal):((?:\.{0,2}/)*[\w@][\w@./-]*)", wish)
            if match and (inside := _inside(directory_of(manifest), match[1])):
                found.append(inside)
    text = workspace.text("pnpm-workspace.yaml") or ""
    raw = workspace.manifest.raw if workspace.manifest else {}
    patched = [
        *_patches(raw.get("pnpm")),
        *_patches(raw),
        *re.findall(r":\s*['\"]?([\w@./+-]+\.patch)\b", text),
    ]
    return found + [joined(workspace.root, patch) for patch in patched if patch]


def _patches(table: object) -> list[str]:
    """Values of `patchedDependencies`: of pnpm below `pnpm`, of bun at the top of package.json."""
    patched = table.get("patchedDependencies") if isinstance(table, dict) else None
    return [patch for patch in patched.values() if isinstance(patch, str)] if isinstance(patched, dict) else []


def _inside(directory: str, path: str) -> str | None:
    """`path`, seen from `directory`, from the root of the version; None when it is outside of it."""
    whole = posixpath.normpath(joined(directory, path)) if path else ""
    return whole if whole and whole != "." and not whole.startswith(("../", "/")) and whole != ".." else None


def _of_yarn(workspace: ProjectView) -> Iterator[str]:
    for directory in _YARN_DIRECTORIES:
        yield joined(workspace.root, directory)
    for plugin in re.findall(
        r"^\s*(?:-\s*)?(?:path:\s*)?[\"']?([\w@./-]+\.[cm]?js)[\"']?\s*$", _yarnrc(workspace), re.MULTILINE
    ):
        if inside := _inside(workspace.root, plugin):
            yield inside
    mirror = re.search(r"^yarn-offline-mirror\s+[\"']?(\.?/?[\w@./-]+)", workspace.text(".yarnrc") or "", re.MULTILINE)
    if mirror and (inside := _inside(workspace.root, mirror[1])):
        yield f"{inside}/"


def _yarnrc(workspace: ProjectView) -> str:
    return workspace.text(".yarnrc.yml") or ""
