"""A directory on this machine. Its files stay where they are; what its ignore files name is not part of the version."""

import os
import pwd
from pathlib import Path
from typing import ClassVar

from headrace.model.diagnostic import FailureReason
from headrace.model.version import Author, DirectorySource, Source
from headrace.settings import Settings
from headrace.source._failures import source_failed
from headrace.source._ignore import Found, list_files
from headrace.source._stop import Stop, run_in_thread
from headrace.source.base import Fetched
from headrace.tree.paths import check_links, check_path, is_text, shown


class DirectoryFetcher:
    kind: ClassVar[str] = "directory"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def tidy(self) -> None:
        """Nothing is kept."""

    async def fetch(
        self,
        source: Source,
        into: Path,  # noqa: ARG002 - nothing is copied
        *,
        seconds: float,
        project_id: str = "",  # noqa: ARG002 - a directory is one
    ) -> Fetched:
        assert isinstance(source, DirectorySource)  # noqa: S101 - sources are chosen by their kind
        root = Path(source.path)

        def work(stop: Stop) -> Fetched:
            return _list(root, stop, most_files=self._settings.upload_files)

        return await run_in_thread(work, seconds=seconds)


def _list(root: Path, stop: Stop, *, most_files: int) -> Fetched:
    if not root.is_dir():
        raise source_failed(
            FailureReason.SOURCE_NOT_FOUND,
            f"there is no directory {str(root)!r} on this machine",
            hint="check the path",
        )
    try:
        found = list_files(root, most_files=most_files, check=stop.check)
    except PermissionError as exc:
        raise source_failed(
            FailureReason.SOURCE_FORBIDDEN,
            f"the directory {os.path.relpath(exc.filename or root, root)!r} can't be read",
            hint="give the user of this process the right to read it, or name it in .headraceignore",
        ) from exc
    if not found.paths:
        raise source_failed(
            FailureReason.SOURCE_EMPTY, "the directory has no files that are not ignored", hint="check .gitignore"
        )
    for path in found.paths:
        if not is_text(path):
            check_path(path)
    check_links(found.links)
    return Fetched(root=root, author=Author(kind="user", name=_user()), paths=found.paths, notes=_notes(found))


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "unknown"


def _notes(found: Found) -> list[str]:
    return [
        f"left out, because only files and links can be part of a version: {shown(path)}" for path in found.odd[:10]
    ]
