"""
What installs share beside whole layers: the packages that another project of the same trust scope has fetched.

An install gets those that its lock file names: in a cache of its own below what it writes, where its package manager looks for
packages as they came, or from a registry of its own. Afterwards those that it fetched are kept, as far as the lock file names
them and their bytes are what it says. Whatever else a cache knows, such as what a registry answered, is never shared: nobody
could check it.
"""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from headrace.disk import remove_tree
from headrace.egress.front import HOST as FRONT
from headrace.executor.base import Sandbox
from headrace.layers.packages import Packages
from headrace.model.plan import Install, PlannedCommand
from headrace.model.sandbox import WORKING_DIRECTORY, OwnRegistry
from headrace.model.version import Tree
from headrace.pipeline.context import Context
from headrace.pipeline.services import Services
from headrace.pipeline.trust import readable, scope
from headrace.plan.lock_files import LOCK_FILES
from headrace.plan.package_cache import PackageCache, package_cache
from headrace.plan.project_view import joined

#: What pnpm and bun fetch from when nothing else is said.
_REGISTRY = "registry.npmjs.org"
#: Files that may say where packages are fetched from, and how they say it: by a mirror or a registry of the project's own, or by
#: a token for one.
_SETTINGS = frozenset({".npmrc", ".yarnrc", "bunfig.toml", "pnpm-workspace.yaml"})
_OWN_MIRROR = re.compile(rb"yarn-offline-mirror")
_OWN_REGISTRY = re.compile(rb"registr|_auth|token|proxy|scopes", re.IGNORECASE)


def packages_of(services: Services) -> Packages:
    return Packages(services.settings.data_dir / "packages")


class SharedPackages:
    """Those of one install. Nothing is shared where a package manager's cache can't be checked, or nothing isolates it."""

    def __init__(self, ctx: Context, install: Install, cache: PackageCache | None) -> None:
        self._ctx = ctx
        self._cache = cache
        self._served = cache is not None and cache.directory is None
        self._place = joined(install.command.directory, (cache.directory or "") if cache else "")
        self._below = ctx.scratch / "packages"
        self._aside = ctx.scratch / "fetched"
        self.given = 0

    @classmethod
    async def of(cls, ctx: Context, install: Install, tree: Tree) -> "SharedPackages":
        usual = ctx.executor.isolated and not ctx.build.options.no_cache
        return cls(ctx, install, await _cache_of(ctx, install, tree) if usual else None)

    async def layer(self) -> tuple[Path, ...]:
        """The directories that lie below what the install writes. An attempt that takes the build over gets the same."""
        if self._cache is None:
            return ()
        if not self._below.exists():
            place = self._below if self._served else self._below / self._place
            places = {digest: place / name for digest, name in self._cache.places.items()}
            scopes = [scope(self._ctx.project, trust) for trust in readable(self._ctx.build.options.trust)]
            place.mkdir(parents=True)
            self.given = await asyncio.to_thread(packages_of(self._ctx.services).give, scopes, places)
        return () if self._served else (self._below,)

    @property
    def registry(self) -> OwnRegistry | None:
        """Of an install whose package manager is given packages by one."""
        return OwnRegistry(registry=_REGISTRY, given=self._below, aside=self._aside) if self._served else None

    def told(self, command: PlannedCommand) -> PlannedCommand:
        """The command, told where its cache is. No part of a key: it makes the same."""
        if self._cache is None:
            return command
        where = f"http://{FRONT}/" if self._served else f"{WORKING_DIRECTORY}/{self._place}"
        return command.but(env={**command.env, **dict.fromkeys(self._cache.variables, where)})

    async def keep(self, sandbox: Sandbox) -> None:
        """After the install: what it fetched."""
        if self._cache is not None:
            if not self._served:
                await asyncio.to_thread(sandbox.take, self._place, self._aside)
            own = scope(self._ctx.project, self._ctx.build.options.trust)
            found = await asyncio.to_thread(found_in, self._aside, self._cache.places)
            await asyncio.to_thread(packages_of(self._ctx.services).keep, own, found)
            await asyncio.to_thread(remove_tree, self._aside)

    @property
    def words(self) -> str:
        named = len(self._cache.places) if self._cache else 0
        return f", {self.given} of {named} packages fetched before" if self.given else ""


def found_in(added: Path, places: Mapping[str, str]) -> dict[str, Path]:
    """What of a cache is where the lock file's packages belong. No link is followed to look for it."""
    plain: dict[PurePosixPath, bool] = {}

    def is_plain(directory: PurePosixPath) -> bool:
        """Whether the way there is made of directories: whoever wrote it might have put a link there."""
        if directory not in plain:
            here = added / directory
            above = directory == PurePosixPath() or is_plain(directory.parent)
            plain[directory] = above and here.is_dir() and not here.is_symlink()
        return plain[directory]

    files = {digest: PurePosixPath(place) for digest, place in places.items()}
    return {
        digest: added / file for digest, file in files.items() if is_plain(file.parent) and (added / file).is_file()
    }


async def _cache_of(ctx: Context, install: Install, tree: Tree) -> PackageCache | None:
    """The cache of the install's package manager, with the packages that its lock files name."""
    inputs = set(install.inputs)
    named = {file.path: file.digest for file in tree.files if file.digest and file.path in inputs}
    program = install.command.argv[0]
    locks = [digest for path, digest in named.items() if LOCK_FILES.get(PurePosixPath(path).name) == program]
    cache = package_cache(program, [(await ctx.services.store.read(lock)).decode("utf-8", "replace") for lock in locks])
    if cache is None or (cache.directory is None and not _fetches_from_the_usual(ctx, install)):
        return None
    own = _OWN_REGISTRY if cache.directory is None else _OWN_MIRROR
    settings = [digest for path, digest in named.items() if PurePosixPath(path).name in _SETTINGS]
    return None if any([own.search(await ctx.services.store.read(one)) for one in settings]) else cache


def _fetches_from_the_usual(ctx: Context, install: Install) -> bool:
    """Whether the install may reach the usual registry, and neither a variable nor a secret is for another one."""
    variables = {**install.command.env, **ctx.project.settings.env}
    other = any("registry" in name.lower() for name in variables) or bool(install.command.secrets)
    return _REGISTRY in ctx.services.settings.registry_hosts and not other
