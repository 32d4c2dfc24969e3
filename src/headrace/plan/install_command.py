"""What each package manager is called with to install, and the variables that it is given."""

from headrace.plan.package_manager import ManagerChoice

#: Where bun keeps packages during an install: beside node_modules, on one file system, so that they are linked, not copied.
_BUN_CACHE = ".bun-cache"


def install_argv(manager: ManagerChoice, *, frozen: bool) -> tuple[str, ...]:
    match manager.name:
        case "npm":
            return _npm(manager, frozen)
        case "pnpm":
            return _pnpm(manager, frozen)
        case "yarn":
            return _berry(frozen) if manager.berry else _yarn_1(frozen)
        case "bun":
            return _bun(frozen)


def install_env(manager: ManagerChoice) -> dict[str, str]:
    # A registry that is away is said after seconds; the managers' own pauses add up to more than a minute.
    pauses = {"fetch_retry_mintimeout": "1000", "fetch_retry_maxtimeout": "5000"}
    env = {f"npm_config_{name}": value for name, value in pauses.items()}
    match manager.name:
        case "npm":
            return {**env, "npm_config_update_notifier": "false"}
        case "pnpm":
            return {**env, **{f"pnpm_config_{name}": value for name, value in pauses.items()}}
        case "yarn":
            return manager_env(manager)
        case "bun":
            return {}


def manager_env(manager: ManagerChoice) -> dict[str, str]:
    """Variables without which the manager would not find, after the install, what it installed."""
    if manager.name != "yarn":
        return {}
    # The copy of Yarn in the repository is not run: the same version comes from the registry, with its hash.
    own = {"YARN_IGNORE_PATH": "1"}
    if not manager.berry:
        return own
    # The global cache is in the home directory, which no layer keeps.
    return {**own, "YARN_ENABLE_GLOBAL_CACHE": "false", "YARN_ENABLE_TELEMETRY": "false"}


def layer_files(manager: ManagerChoice) -> tuple[str, ...]:
    """What the manager leaves at the root of the workspace, beside node_modules, that its later commands need."""
    if not manager.berry:
        return ()
    state = (".yarn/install-state.gz",)
    return (
        (".pnp.cjs", ".pnp.js", ".pnp.loader.mjs", ".yarn/cache", ".yarn/unplugged", *state) if manager.pnp else state
    )


def _npm(manager: ManagerChoice, frozen: bool) -> tuple[str, ...]:
    # --include=dev: build tools are devDependencies, and a project's NODE_ENV=production would leave them out.
    # --prefer-offline: what the shared cache has is not asked for again.
    development = "--include=dev" if manager.major > 6 else "--production=false"
    legacy = ("--legacy-peer-deps",) if manager.legacy_peers else ()
    return ("npm", "ci" if frozen else "install", development, "--prefer-offline", "--no-audit", "--no-fund", *legacy)


def _pnpm(manager: ManagerChoice, frozen: bool) -> tuple[str, ...]:
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


def _yarn_1(frozen: bool) -> tuple[str, ...]:
    quiet = ("--non-interactive", "--no-progress", "--production=false", "--prefer-offline")
    return ("yarn", "install", *(("--frozen-lockfile",) if frozen else ()), *quiet)


def _berry(frozen: bool) -> tuple[str, ...]:
    return ("yarn", "install", "--immutable" if frozen else "--no-immutable")


def _bun(frozen: bool) -> tuple[str, ...]:
    return (
        "bun",
        "install",
        "--frozen-lockfile" if frozen else "--no-save",
        f"--cache-dir={_BUN_CACHE}",
        "--no-progress",
    )
