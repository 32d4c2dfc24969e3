"""Source: a place where code is becomes a version, an immutable tree in the store."""

import asyncio

from headrace.disk import remove_tree
from headrace.errors import Conflict, InvalidInput, StepFailed, TooLarge, found
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.digest import Digest
from headrace.model.event import BuildWarning, SourceResolved
from headrace.model.ids import id_after, made_at
from headrace.model.plan import StepId
from headrace.model.project import Project
from headrace.model.trust import Trust
from headrace.model.version import Source, Version, VersionSource
from headrace.pipeline.context import Context
from headrace.pipeline.network import record_network
from headrace.pipeline.offline import missing
from headrace.pipeline.services import Services
from headrace.pipeline.trust import readable
from headrace.records import versions
from headrace.source.base import Fetched
from headrace.tree import snapshot, store_tree


async def resolve_version(ctx: Context) -> Version:
    """The build's version: the one it was asked for, or what its project's source holds now."""
    async with ctx.step(StepId.SOURCE) as step:
        if ctx.build.version_id:
            async with ctx.services.db.read() as c:
                version = found(await versions.get(c, ctx.build.version_id), ctx.build.version_id)
        else:
            version = await _fetch(ctx, ctx.project.source)
        ctx.record(
            SourceResolved(
                build_id=ctx.build.id,
                version_id=version.id,
                tree=version.tree,
                commit=version.commit,
                branch=version.branch,
                trust=version.trust,
                files=version.files,
                bytes=version.bytes,
            )
        )
        untrusted = "" if version.trust is Trust.TRUSTED else ", untrusted"
        step.summary = f"{version.files} files, {version.bytes / 1024:.0f} KiB{untrusted}"
        return version


async def _fetch(ctx: Context, source: Source | None) -> Version:
    if source is None or isinstance(source, VersionSource):
        async with ctx.services.db.read() as c:
            if source is None:
                return found(await versions.newest(c, ctx.project.id), "a version of the project")
            return found(await versions.get(c, source.version), source.version)
    if ctx.build.options.offline and source.kind != "directory":
        return await _stored(ctx)
    into = ctx.scratch / "source"
    # An earlier attempt may have died in the middle of fetching.
    await asyncio.to_thread(remove_tree, into)
    await asyncio.to_thread(into.mkdir, parents=True)
    seconds = ctx.project.settings.limits.clone_seconds or ctx.services.settings.clone_seconds
    try:
        fetcher = ctx.services.sources[source.kind]
        fetched = await fetcher.fetch(source, into, seconds=seconds, project_id=ctx.project.id)
        await record_network(ctx, StepId.SOURCE, fetched.network)
        for note in fetched.notes:
            ctx.record(BuildWarning(build_id=ctx.build.id, step=StepId.SOURCE, code="source.note", message=note))
        return await add_version(ctx.services, ctx.project, fetched, ctx.build.options.trust)
    except (InvalidInput, TooLarge, Conflict) as exc:
        raise StepFailed(_refused(exc)) from exc


async def _stored(ctx: Context) -> Version:
    """What the source held when it was fetched last."""
    async with ctx.services.db.read() as c:
        # The build's own tier first: what was fetched for strangers is nothing for trusted builds.
        tiers = reversed(readable(ctx.build.options.trust))
        stored = [await versions.newest(c, ctx.project.id, tier) for tier in tiers]
    newest = next((version for version in stored if version), None)
    if newest is None:
        raise missing(StepId.SOURCE, "the project's source")
    what = f"the commit {newest.commit[:12]}" if newest.commit else "the version"
    message = f"the source was not asked: this is {what} that was fetched last"
    ctx.record(BuildWarning(build_id=ctx.build.id, step=StepId.SOURCE, code="source.offline", message=message))
    return newest


def _refused(exc: InvalidInput | TooLarge | Conflict) -> Failure:
    """What is wrong with the user's source is a result of the build, like any other mistake in it."""
    too_large = isinstance(exc, TooLarge)
    reason = FailureReason.SOURCE_TOO_LARGE if too_large else FailureReason.SOURCE_FORBIDDEN
    return Failure(reason=reason, step=StepId.SOURCE, message=f"{exc.exact_code}: {exc.message}", hint=exc.hint)


async def _resembles(services: Services, project: Project) -> Digest | None:
    """The tree that a new one of this project was most likely made from."""
    async with services.db.read() as c:
        newest = await versions.newest(c, project.id)
        if newest is None and isinstance(project.source, VersionSource):
            newest = await versions.get(c, project.source.version)
    return newest.tree if newest else None


async def add_version(services: Services, project: Project, fetched: Fetched, trust: Trust = Trust.TRUSTED) -> Version:
    """
    Store what was fetched as a version. The newest version of this trust is returned when it has the same tree and commit.

    An untrusted one has the newest trusted one as its parent: that is what it proposes to change.
    """
    tree = await asyncio.to_thread(snapshot, fetched.root, fetched.paths)
    digest = await store_tree(services.store, fetched.root, tree, like=await _resembles(services, project))
    async with services.db.write() as c:
        parent = await versions.newest(c, project.id)
        last = parent if trust is Trust.TRUSTED else await versions.newest(c, project.id, trust)
        if last and (last.tree, last.commit) == (digest, fetched.commit):
            return last
        version_id = id_after("ver", max((one.id for one in (parent, last) if one), default=None))
        version = Version(
            id=version_id,
            project_id=project.id,
            tree=digest,
            parent=parent.id if parent else None,
            author=fetched.author,
            message=fetched.message,
            commit=fetched.commit,
            branch=fetched.branch,
            trust=trust,
            files=len(tree.files),
            bytes=sum(file.size for file in tree.files),
            created_at=made_at(version_id),
        )
        await versions.insert(c, version)
        return version
