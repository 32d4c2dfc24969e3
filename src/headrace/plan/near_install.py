"""Installs that begin with the dependencies of a build whose lock file was nearly the same, and end as a clean one would."""

import shlex

from headrace.model.digest import Digest
from headrace.model.plan import BuildPlan, CacheKey, PlannedCommand
from headrace.plan.lock_files import LOCK_FILES
from headrace.plan.manager_versions import major_of

#: The first npm whose `ci` can check the lock file without installing.
_NPM = 9
_PNPM = 8


def near_command(plan: BuildPlan) -> PlannedCommand | None:
    """
    The install over what another one left: it changes what differs, and where that fails everything is removed and installed
    as planned. None where a package manager can't be trusted with it, or would fetch everything anyway.
    """
    install = plan.install
    if install is None or (changes := _changes(plan)) is None:
        return None
    clean = shlex.join(install.command.argv)
    away = shlex.join(("rm", "-rf", "--", *_from(install.command.directory, install.outputs)))
    line = f"{{ {changes}; }} || {{ echo 'starting over without earlier dependencies' >&2; {away} && {clean}; }}"
    return install.command.but(argv=("sh", "-c", line))


def is_near(now: CacheKey, other: CacheKey) -> bool:
    """Whether two keys differ in lock files and manifests only, and not in which of them there are."""
    mine, theirs = ({part.name: part.digest for part in key.inputs} for key in (now, other))
    if mine.keys() != theirs.keys():
        return False
    return all(theirs[name] == digest for name, digest in mine.items() if not _may_differ(name))


def lock_digest(key: CacheKey) -> Digest | None:
    """Of the lock file at the top: the blob with its text."""
    return next((part.digest for part in key.inputs if _file(part.name) in LOCK_FILES), None)


def _changes(plan: BuildPlan) -> str | None:
    """The line that brings earlier dependencies up to date with the lock file, exactly as it is."""
    assert plan.install is not None  # noqa: S101 - the only caller has looked
    argv = plan.install.command.argv
    if any(word.startswith(("--workspace=", "--filter=")) for word in argv):
        # Nobody has looked what a part of a workspace becomes over another one.
        return None
    version = next((tool.version for tool in plan.tools if tool.name == argv[0]), "0")
    match argv[:2]:
        case ("npm", "ci") if major_of(version) >= _NPM:
            flags = argv[2:]
            check = shlex.join(("npm", "ci", "--dry-run", *flags))
            # Without --no-save npm would rather change the lock file than say that it does not fit; the check has said that.
            return f"{check} >/dev/null && {shlex.join(('npm', 'install', '--no-save', *flags))}"
        case ("pnpm", "install") if "--frozen-lockfile" in argv and major_of(version) >= _PNPM:
            # Packages that nothing uses any more would stay for a week.
            return shlex.join((*argv, "--config.modules-cache-max-age=0", "--config.confirm-modules-purge=false"))
        case ("bun", "install") if "--frozen-lockfile" in argv:
            return shlex.join(argv)
        case ("yarn", "install") if "--immutable" in argv and ".yarn/cache" in plan.install.outputs:
            return shlex.join(argv)
    return None


def _from(directory: str, outputs: tuple[str, ...]) -> list[str]:
    """Outputs as the command sees them from its directory, which is above all of them."""
    prefix = f"{directory}/" if directory else ""
    return [output.removeprefix(prefix) for output in outputs]


def _may_differ(name: str) -> bool:
    return _file(name) in LOCK_FILES or _file(name) == "package.json"


def _file(name: str) -> str:
    return name.removeprefix("file ").rpartition("/")[2] if name.startswith("file ") else ""
