"""The short form of a sync: somebody says which files changed in the project's bucket, and the server gets just those."""

from collections.abc import Sequence
from typing import NamedTuple

from headrace.errors import Conflict, TooLarge
from headrace.model.change import Edit
from headrace.model.limits import MIB
from headrace.model.project import Project
from headrace.pipeline.services import Services
from headrace.source.base import ChangedFilesSource
from headrace.sync.entries import SyncLimits
from headrace.sync.errors import Wrong, refused
from headrace.sync.paths import refuse_path

#: All of it is in memory at once.
_MOST_BYTES = 64 * MIB


class Named(NamedTuple):
    """A file as its notifier names it: by its path in the project, in a part of it (`frontend`), or in the bucket."""

    path: str
    part: str | None = None


async def fetch_edits(services: Services, project: Project, named: Sequence[Named]) -> tuple[Edit, ...]:
    """
    What the project's bucket holds of these files now; one that is gone there is deleted. Raises Conflict (`project.no_bucket`)
    for a project whose source is something else, InvalidInput for bad paths, and what `ChangedFilesSource.read_files` raises.
    """
    source = project.source
    fetcher = services.sources.get(source.kind) if source is not None else None
    if source is None or not isinstance(fetcher, ChangedFilesSource):
        raise Conflict(
            "the project's source is no bucket, so there is nowhere to get these files from",
            code="project.no_bucket",
            hint="send them with their content, as files",
        )
    limits = SyncLimits.of(services.settings)
    if len(named) > limits.entries:
        raise TooLarge(f"{len(named)} files are more than the {limits.entries} of one request", code="batch.too_many")
    paths = [_path(project, one) for one in named]
    wrong = [Wrong(at, said.code, said.why) for at, path in enumerate(paths) if (said := refuse_path(path)) is not None]
    if wrong:
        raise refused(wrong, entries="changed_files")
    most = min(_MOST_BYTES, services.settings.upload_bytes)
    read = await fetcher.read_files(source, project.id, paths, most_bytes=most)
    # A name that is said twice means one file.
    return tuple(Edit(path=path, content=read[path], delete=read[path] is None) for path in dict.fromkeys(paths))


def _path(project: Project, named: Named) -> str:
    path = named.path.removeprefix(f"{project.id}/")
    if named.part is None or path.startswith(f"{named.part}/"):
        return path
    return f"{named.part}/{path}"
