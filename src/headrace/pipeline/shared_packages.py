"""
What installs share beside whole layers: the packages that another project of the same trust scope has fetched.

npm alone keeps packages as the registry has them and asks for them by their content. An install gets those that its lock file names
in a cache of its own, below what it writes, and afterwards those that it fetched are kept, as far as the lock file names them and
their bytes are what it says. What npm knows of the registry beside (its index) is never shared: nobody could check it.
"""

import asyncio
import base64
import os
import re
from collections.abc import Mapping
from pathlib import Path

from headrace.disk import remove_tree
from headrace.executor.base import Sandbox
from headrace.layers.packages import Packages
from headrace.model.plan import Install, PlannedCommand
from headrace.model.sandbox import WORKING_DIRECTORY
from headrace.model.version import Tree
from headrace.pipeline.context import Context
from headrace.pipeline.services import Services
from headrace.pipeline.trust import readable, scope
from headrace.plan.lock_files import LOCK_FILES
from headrace.plan.project_view import joined

_CACHE = ".npm-cache"
_CONTENT = "_cacache/content-v2/sha512"
_INTEGRITY = re.compile(rb'"integrity":\s*"[^"]*?sha512-([A-Za-z0-9+/]{86}==)')


def packages_of(services: Services) -> Packages:
    return Packages(services.settings.data_dir / "packages")


class SharedPackages:
    """Those of one install. Nothing is shared where a package manager's cache can't be checked, or nothing isolates it."""

    def __init__(self, ctx: Context, install: Install, wanted: frozenset[str]) -> None:
        self._ctx = ctx
        self._cache = joined(install.command.directory, _CACHE)
        self._wanted = wanted
        self.given = 0

    @classmethod
    async def of(cls, ctx: Context, install: Install, tree: Tree) -> "SharedPackages":
        usual = install.command.argv[0] == "npm" and ctx.executor.isolated and not ctx.build.options.no_cache
        wanted = await _named(ctx, install, tree) if usual else frozenset[str]()
        return cls(ctx, install, wanted)

    async def layer(self) -> tuple[Path, ...]:
        """The directory that lies below what the install writes. An attempt that takes the build over gets the same."""
        if not self._wanted:
            return ()
        below = self._ctx.scratch / "packages"
        if not below.exists():
            places = {digest: _place(below / self._cache, digest) for digest in self._wanted}
            scopes = [scope(self._ctx.project, trust) for trust in readable(self._ctx.build.options.trust)]
            (below / self._cache).mkdir(parents=True)
            self.given = await asyncio.to_thread(packages_of(self._ctx.services).give, scopes, places)
        return (below,)

    def told(self, command: PlannedCommand) -> PlannedCommand:
        """The command, told where its cache is. No part of a key: it makes the same."""
        if not self._wanted:
            return command
        return command.but(env={**command.env, "npm_config_cache": f"{WORKING_DIRECTORY}/{self._cache}"})

    async def keep(self, sandbox: Sandbox) -> None:
        """After the install: what it fetched."""
        added = self._ctx.scratch / "fetched"
        if self._wanted:
            await asyncio.to_thread(sandbox.take, self._cache, added)
            own = scope(self._ctx.project, self._ctx.build.options.trust)
            await asyncio.to_thread(packages_of(self._ctx.services).keep, own, self._found(added))
            await asyncio.to_thread(remove_tree, added)

    @property
    def words(self) -> str:
        return f", {self.given} of {len(self._wanted)} packages fetched before" if self.given else ""

    def _found(self, added: Path) -> Mapping[str, Path]:
        """Files of the cache that are named as the lock file names packages. No link is followed to look for them."""
        found = {}
        for directory, _, names in os.walk(added / _CONTENT) if _plain(added) else ():
            for name in names:
                digest = "".join(Path(directory, name).relative_to(added / _CONTENT).parts)
                if digest in self._wanted:
                    found[digest] = Path(directory, name)
        return found


def _plain(added: Path) -> bool:
    """Whether the way to the content is made of directories: whoever wrote it might have put a link there."""
    steps = [added, *(added / part for part in ("_cacache", "_cacache/content-v2", _CONTENT))]
    return all(step.is_dir() and not step.is_symlink() for step in steps)


def _place(cache: Path, digest: str) -> Path:
    return cache / _CONTENT / digest[:2] / digest[2:4] / digest[4:]


async def _named(ctx: Context, install: Install, tree: Tree) -> frozenset[str]:
    """The packages that the install's lock files name."""
    inputs = set(install.inputs)
    locks = [
        file.digest
        for file in tree.files
        if file.digest and file.path in inputs and file.path.rpartition("/")[2] in LOCK_FILES
    ]
    texts = [await ctx.services.store.read(digest) for digest in locks]
    return frozenset(base64.b64decode(found).hex() for text in texts for found in _INTEGRITY.findall(text))
