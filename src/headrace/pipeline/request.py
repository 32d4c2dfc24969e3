"""Asking for a build. The same inputs give the same build; asking twice at once gives one build to both."""

from datetime import UTC, datetime

from headrace.errors import Conflict, InvalidInput, SafeMode, StepFailed, found
from headrace.model.build import Build, BuildOptions, BuildStatus
from headrace.model.digest import Digest
from headrace.model.event import BuildCompleted, BuildCreated, BuildQueued, CancelRequested
from headrace.model.ids import new_id
from headrace.model.project import Project
from headrace.model.trust import Trust, least
from headrace.model.version import Version, VersionSource
from headrace.pipeline.admission import standings, wake
from headrace.pipeline.plan import of_app, plan_version
from headrace.pipeline.reuse import built_before, key_of_result
from headrace.pipeline.services import Services
from headrace.pipeline.trust import readable
from headrace.records import builds, deployments, versions
from headrace.records.database import Transaction


async def request_build(
    services: Services, project: Project, version_id: str | None, options: BuildOptions
) -> tuple[Build, bool]:
    """
    A build of the version (or of what the project's source holds now), and whether it is a new one. That of an untrusted version
    is untrusted, whatever the options say.

    Raises SafeMode where running code is switched off and the build isn't there already; NotFound for a foreign version;
    StoreFull when the disk has too little left.
    """
    version = await _stored_version(services, project, version_id)
    options = options.but(trust=least(options.trust, await _trust(services, project, version)))
    keys, framework = await _keys(services, project, version, options) if version else ([], None)
    if options.force or options.dependencies_only:
        keys = []
    for readable_key in keys:
        if build := await built_before(services, project, readable_key):
            return build, False
    # A build's own tier is the last that it may read.
    key = keys[-1] if keys else None
    if services.settings.safe_mode:
        raise SafeMode("this server runs no project's code", hint="the operator can unset HEADRACE_SAFE_MODE")
    if not services.executor_for(options.executor).isolated and options.trust is Trust.UNTRUSTED:
        raise InvalidInput(
            "untrusted code is never run without isolation",
            hint="set HEADRACE_EXECUTOR=oci",
            code="executor.no_isolation",
            field="/options/trust",
        )
    services.reserve.check()
    build = Build(
        id=new_id("build"),
        project_id=project.id,
        version_id=version.id if version else None,
        result_key=key,
        framework=framework,
        options=options,
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    async with services.db.write() as c:
        # Looked up and saved in one transaction: of two requests at the same moment one makes the build.
        twin = None
        if key:
            twin = await builds.with_key_running(c, key, project_id=project.id)
            # It may have ended since it was looked for.
            twin = twin or await builds.find_result(c, key, project_id=project.id)
        if twin is None:
            await builds.save(c, build)
    if twin is not None:
        return twin, False
    return await _announce(services, build), True


async def cancel_build(services: Services, build: Build, by: str) -> Build:
    """
    Ask for the end of a build; asking again changes nothing. Once this returns, the build is cancelled or will be, whatever it
    was about to come to. Raises Conflict when it has ended by itself, or is deployed and has only to say so.
    """
    await services.journal.record_all([CancelRequested(build_id=build.id, by=by)], decides=_to_be_cancelled)
    if build.status is BuildStatus.QUEUED:
        await end_unstarted(services, build)
    await services.queue.cancel(build.id)
    async with services.db.read() as c:
        return found(await builds.get(c, build.id), build.id)


async def _to_be_cancelled(c: Transaction, build: Build) -> bool:
    """Whether nobody wished for it before. The deployment is made behind the same lock, if no wish is there."""
    if build.status is BuildStatus.CANCELLED:
        return False
    if build.status.terminal:
        raise _too_late(f"the build has already {build.status}")
    if await deployments.of_build(c, build.id) is not None:
        raise _too_late("the build is deployed already")
    return not await builds.cancel_requested(c, [build.id])


def _too_late(message: str) -> Conflict:
    return Conflict(message, code="build.already_terminal", hint="there is nothing to cancel")


async def end_unstarted(services: Services, build: Build) -> None:
    """End a build that no worker has taken. Nothing happens when one takes it first: that one will see the wish."""
    async with services.db.write(durable=False) as c:
        lease = await builds.claim(c, build.id, services.worker, services.settings.lease_seconds)
    if lease is None:
        return
    ended = BuildCompleted(build_id=build.id, status=BuildStatus.CANCELLED, seconds=0, version_id=build.version_id)
    await services.journal.record(ended, lease=lease, close=True)
    async with services.db.write(durable=False) as c:
        await builds.release(c, lease)
    # Others may have waited behind it.
    await wake(services)


async def _stored_version(services: Services, project: Project, version_id: str | None) -> Version | None:
    async with services.db.read() as c:
        if version_id is not None:
            version = found(await versions.get(c, version_id), version_id)
            return found(version if version.project_id == project.id else None, version_id)
        if project.source is not None:
            return None
        newest = await versions.newest(c, project.id)
    if newest is None:
        raise Conflict(
            "the project has no source and no version yet",
            code="project.empty",
            hint="upload one: POST /projects/{id}/versions",
        )
    return newest


async def _trust(services: Services, project: Project, version: Version | None) -> Trust:
    """How far what is going to be built is trusted, as far as it is stored already."""
    if version is None and isinstance(project.source, VersionSource):
        async with services.db.read() as c:
            version = await versions.get(c, project.source.version)
    return version.trust if version else Trust.TRUSTED


async def _keys(
    services: Services, project: Project, version: Version, options: BuildOptions
) -> tuple[list[Digest], str | None]:
    """
    Keys of the version's result, one for each tier, and its framework; none for a version that can't be planned, which its build
    will explain.
    """
    try:
        planned = await plan_version(services, of_app(project, options.app), version)
    except StepFailed:
        return [], None
    executor, tiers = services.executor_for(options.executor), readable(options.trust)
    keys = [(await key_of_result(services, executor, project, version, planned, tier)).digest for tier in tiers]
    return keys, planned.plan.framework


async def _announce(services: Services, build: Build) -> Build:
    await services.journal.record(
        BuildCreated(
            build_id=build.id,
            project_id=build.project_id,
            version_id=build.version_id,
            result_key=build.result_key,
            framework=build.framework,
            options=build.options,
        )
    )
    stands = (await standings(services, [build])).get(build.id)
    queued = BuildQueued(build_id=build.id)
    if stands is not None and stands.message:
        queued = queued.but(ahead=stands.ahead or 0, reason=stands.reason, message=stands.message)
    await services.journal.record(queued)
    await services.queue.enqueue(build.id)
    async with services.db.read() as c:
        return found(await builds.get(c, build.id), build.id)
