"""From a version to a page: with the warm builder there is, with a new one, from plain files, or by an ordinary build."""

import asyncio
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass

from headrace.errors import NotFound, StepFailed, found
from headrace.layers.layers import Layer
from headrace.model.build import Build, BuildOptions, BuildStatus
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.digest import Digest
from headrace.model.plan import StepId
from headrace.model.project import Project
from headrace.model.version import Tree, Version
from headrace.pipeline.plan import plan_version
from headrace.pipeline.request import request_build
from headrace.pipeline.services import Services
from headrace.pipeline.trust import scope
from headrace.pipeline.values import Planned
from headrace.plan.layer_key import layer_key
from headrace.plan.project_files import DirectoryFiles
from headrace.preview.base import Outcome
from headrace.preview.choice import BUILDS, FILES, Choice, choose
from headrace.preview.difference import Difference, applied, difference, expected
from headrace.preview.output import Shown, plain_files
from headrace.preview.warm import Warm
from headrace.tree import load_tree

#: Files that the planner reads. A change of anything else leaves the plan as it is.
_PLANNED_FROM = re.compile(
    r"(?:^|/)(?:package\.json|package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|pnpm-workspace\.yaml|yarn\.lock"
    r"|bun\.lockb?|\.npmrc|\.yarnrc(?:\.yml)?|\.nvmrc|\.node-version|\.tool-versions|mise\.toml|headrace\.toml|vercel\.json"
    r"|netlify\.toml|[\w.-]+\.config\.[cm]?[jt]s)$"
)


#: Called when something is started that takes a while.
OnStart = Callable[[Choice], None]
#: Called with what goes wrong in a builder without a change.
OnError = Callable[[Warm, Outcome], None]


@dataclass(frozen=True)
class Made:
    """What came of a version. `shown` is set when it is files that are to be shown."""

    outcome: Outcome
    choice: Choice
    shown: Shown | Digest | None = None
    #: A builder that was started for it, and takes the place of the one before.
    warm: Warm | None = None


@dataclass(frozen=True)
class _Basis:
    """What was planned and chosen: it holds for later versions too, until a file changes that plans are made from."""

    project: Project
    planned: Planned
    choice: Choice

    def holds(self, project: Project, tree: Tree) -> bool:
        change = difference(self.planned.tree, tree)
        paths = (*change.change.written, *change.change.removed)
        same = project.settings == self.project.settings and not change.has_links
        return same and not any(_PLANNED_FROM.search(path) for path in paths)


@dataclass(frozen=True)
class Begun:
    """A change that the builder got before its version was stored."""

    version_id: str
    task: "asyncio.Task[Outcome]"

    async def outcome(self) -> Outcome | None:
        """None when it could not be written; then the builder's tree is not what was expected."""
        await asyncio.wait({self.task})
        return None if self.task.cancelled() or self.task.exception() else self.task.result()


class Maker:
    """Makes pages of one project, one at a time."""

    def __init__(self, services: Services, on_start: OnStart, on_error: OnError) -> None:
        self._services = services
        self._on_start = on_start
        self._on_error = on_error
        self._basis: _Basis | None = None

    def begin(
        self, warm: Warm, version_id: str, written: Mapping[str, bytes], removed: Collection[str]
    ) -> "Begun | None":
        """Give a change to the builder that is still on its way to the store; None for one that must be looked at first."""
        change = expected(warm.tree, written, removed)
        paths = (*written, *removed)
        if (
            warm.ended
            or any(_PLANNED_FROM.search(path) for path in paths)
            or warm.driver.restarts(warm.plan, change.change)
        ):
            return None
        return Begun(version_id, asyncio.create_task(warm.apply(change, written, applied(warm.tree, change))))

    async def make(self, project: Project, version: Version, warm: Warm | None, begun: "Begun | None" = None) -> Made:
        """Raises StepFailed for a version that can't be planned, installed or read; then `warm` is as it was."""
        outcome = await begun.outcome() if begun is not None else None
        tree = await load_tree(self._services.store, version.tree)
        if warm is not None and not warm.ended:
            change = difference(warm.tree, tree)
            if outcome is not None and begun and begun.version_id == version.id and not change and not outcome.restart:
                return await self._made(warm, outcome)
            if not change.has_links and await self._fits(project, version, warm, change):
                made = await self._apply(warm, change, tree)
                if not made.outcome.restart:
                    return made
        if self._basis is not None and self._basis.holds(project, tree):
            # A tree that was planned from may have been cleared away since.
            with suppress(NotFound):
                return await self._make_on(self._basis, version, tree)
        planned = await plan_version(self._services, project, version)
        files = DirectoryFiles(planned.directory, [file.path for file in planned.tree.files])
        self._basis = _Basis(project, planned, choose(planned.plan, files, project.settings.preview))
        return await self._make_on(self._basis, version, tree)

    async def _make_on(self, basis: _Basis, version: Version, tree: Tree) -> Made:
        plan, choice = basis.planned.plan, basis.choice
        if choice.name == FILES:
            return Made(Outcome(ok=True), choice, plain_files(tree, plan.output, plan.routing))
        if choice.name == BUILDS:
            self._on_start(choice)
            return Made(Outcome(ok=True), choice, await self._built(basis.project, version))
        return await self._start(basis, version, tree)

    async def _fits(self, project: Project, version: Version, warm: Warm, change: Difference) -> bool:
        """Whether the warm builder can take the change: same plan, same dependencies, nothing it must be restarted for."""
        paths = [*change.change.written, *change.change.removed]
        if warm.driver.restarts(warm.plan, change.change):
            return False
        if not any(_PLANNED_FROM.search(path) for path in paths):
            return True
        planned = await plan_version(self._services, project, version)
        return planned.plan == warm.plan and self._key(project, planned) == warm.layer_key

    async def _apply(self, warm: Warm, change: Difference, tree: Tree) -> Made:
        contents = await self._contents(change)
        return await self._made(warm, await warm.apply(change, contents, tree))

    async def _made(self, warm: Warm, outcome: Outcome) -> Made:
        changed = outcome.ok and outcome.output_changed
        return Made(outcome, warm.choice, await warm.shown() if changed else None)

    async def _contents(self, change: Difference) -> Mapping[str, bytes]:
        wanted = [(file.path, file.digest) for file in change.written if file.digest is not None]
        read = await asyncio.gather(*(self._services.store.read(digest) for _, digest in wanted))
        return {path: data for (path, _), data in zip(wanted, read, strict=True)}

    async def _start(self, basis: _Basis, version: Version, tree: Tree) -> Made:
        project, planned, choice = basis.project, basis.planned, basis.choice
        layer = await self._layer(project, version, planned)
        self._on_start(choice)
        warm = Warm(self._services, project, choice, planned, self._key(project, planned))
        later = difference(planned.tree, tree)
        try:
            await warm.prepare(layer, later, await self._contents(later), tree)
            await warm.start(lambda outcome: self._on_error(warm, outcome))
            outcome = await warm.first()
            shown = await warm.shown() if outcome.ok else None
        except BaseException:
            await warm.close()
            raise
        return Made(outcome, choice, shown, warm)

    def _key(self, project: Project, planned: Planned) -> Digest | None:
        if planned.plan.install is None:
            return None
        base_system = self._services.base_system
        return layer_key(planned.plan, planned.tree, scope=scope(project), base_system=base_system).digest

    async def _layer(self, project: Project, version: Version, planned: Planned) -> Layer | None:
        """The dependency layer. Where there is none yet, a build makes it that ends there: the page is the warm builder's."""
        key = self._key(project, planned)
        if key is None:
            return None
        if layer := self._services.layers.find(key):
            return layer
        build = await self._build(project, version, BuildOptions(dependencies_only=True))
        if layer := self._services.layers.find(key):
            return layer
        raise StepFailed(build.failure or _no_layer())

    async def _built(self, project: Project, version: Version) -> Digest:
        """The artifact of an ordinary build. Raises StepFailed with the build's failure."""
        build = await self._build(project, version, BuildOptions())
        if build.status is BuildStatus.SUCCEEDED and build.artifact is not None:
            return build.artifact
        raise StepFailed(build.failure or _no_layer())

    async def _build(self, project: Project, version: Version, options: BuildOptions) -> Build:
        services = self._services
        build, _ = await request_build(services, project, version.id, options)
        async with aclosing(services.events.read_bytes(build.id, follow=not build.status.terminal)) as pieces:
            async for _ in pieces:
                pass
        return found(await services.journal.replay(build.id), build.id)


def _no_layer() -> Failure:
    return Failure(
        reason=FailureReason.INTERNAL,
        step=StepId.DEPENDENCIES,
        message="the build that installs the dependencies ended without them",
        hint="try again; if it stays, look at the project's builds",
    )
