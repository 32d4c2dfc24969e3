"""Upload: an archive that somebody sent becomes a version of a project that has no other source, or of one that has."""

from pathlib import Path

from headrace.model.project import Project
from headrace.model.trust import Trust
from headrace.model.version import ArchiveSource, Author, Version
from headrace.pipeline.services import Services
from headrace.pipeline.source import add_version
from headrace.records import versions


async def upload_version(
    services: Services,
    project: Project,
    archive: Path,
    into: Path,
    *,
    author: str,
    message: str,
    trust: Trust = Trust.TRUSTED,
) -> tuple[Version, bool]:
    """
    The version that the archive holds, and whether it is a new one. `into` is an empty directory for the unpacked files.

    Raises InvalidInput (`archive.…`) or StepFailed (`source_…`) for an archive that is refused; nothing is stored then.
    """
    fetcher = services.sources["archive"]
    fetched = await fetcher.fetch(ArchiveSource(path=str(archive)), into, seconds=services.settings.clone_seconds)
    async with services.db.read() as c:
        newest = await versions.newest(c, project.id, trust)
    by = Author(kind="user", name=author) if author else fetched.author
    fetched = fetched.but(author=by, message=message or fetched.message)
    version = await add_version(services, project, fetched, trust)
    return version, newest is None or version.id != newest.id
