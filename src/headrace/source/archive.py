"""An uploaded archive, already on this machine: tar, tar.gz, tar.zst or zip."""

from pathlib import Path
from typing import ClassVar

from headrace.disk import open_regular
from headrace.errors import InvalidInput
from headrace.model.diagnostic import FailureReason
from headrace.model.version import ArchiveSource, Author, Source
from headrace.settings import Settings
from headrace.source._aside import filled
from headrace.source._failures import source_failed
from headrace.source._ignore import list_files
from headrace.source._intake import ArchiveLimits
from headrace.source._pack import pack_directory
from headrace.source._stop import Stop, run_in_thread
from headrace.source._unpack import unpack
from headrace.source.base import Fetched

__all__ = ["ArchiveFetcher", "pack_directory"]


class ArchiveFetcher:
    kind: ClassVar[str] = "archive"

    def __init__(self, settings: Settings) -> None:
        self._limits = ArchiveLimits(bytes=settings.upload_bytes, files=settings.upload_files)

    async def tidy(self) -> None:
        """Nothing is kept."""

    async def fetch(
        self,
        source: Source,
        into: Path,
        *,
        seconds: float,
        project_id: str = "",  # noqa: ARG002 - an archive holds one
    ) -> Fetched:
        assert isinstance(source, ArchiveSource)  # noqa: S101 - sources are chosen by their kind
        path = Path(source.path)

        def work(stop: Stop) -> Fetched:
            return _fetch(path, into, self._limits, stop)

        return await run_in_thread(work, seconds=seconds)


def _fetch(path: Path, into: Path, limits: ArchiveLimits, stop: Stop) -> Fetched:
    try:
        with open_regular(path) as file, filled(into) as aside:
            unpack(file, aside, limits, stop.check)
            found = list_files(aside, check=stop.check)
            if not found.paths:
                raise InvalidInput(
                    "the archive has no files that are not ignored",
                    code="archive.empty",
                    hint="put the project's files into it, and check its .gitignore",
                )
    except FileNotFoundError as exc:
        raise source_failed(
            FailureReason.SOURCE_NOT_FOUND, "the uploaded archive is gone", hint="upload it again"
        ) from exc
    return Fetched(root=into, author=Author(kind="user", name="unknown"), paths=found.paths)
