"""The contract of sources: they bring code into an empty directory."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from headrace.model.value import Value
from headrace.model.version import Author, Source


class Fetched(Value):
    """What was fetched: the directory holds exactly the project's files, without `.git` and without ignored files."""

    root: Path
    author: Author
    message: str = ""
    commit: str | None = None
    branch: str | None = None
    #: Paths relative to `root` that are part of the version; None means all that is there.
    paths: Sequence[str] | None = None
    #: What people should know, such as "the submodule lib/x was left out".
    notes: Sequence[str] = ()


class SourceFetcher(Protocol):
    kind: ClassVar[str]

    async def fetch(self, source: Source, into: Path, *, seconds: float) -> Fetched:
        """
        Bring the code below `into`, or leave it where it is and say so in `Fetched.root`.

        Raises InvalidInput for a source that is refused as such (`source.url_not_allowed`, `archive.path_escape` and the like),
        StepFailed with a `source_…` reason for one that can't be had. `into` is empty again then. Never waits for a prompt.
        Cancelled, it returns when no process of its own is left.
        """
        ...

    async def tidy(self) -> None:
        """Let go of what was kept to make fetching faster and has not been used for long. Called now and again."""
        ...


class ChangedFilesSource(Protocol):
    """A source that can be asked for single files, so that a sync names paths and the server fetches just those."""

    async def read_files(
        self, source: Source, project_id: str, paths: Sequence[str], *, most_bytes: int
    ) -> Mapping[str, bytes | None]:
        """
        The files as they are there now, with an entry for each of `paths`; None for one that is not there any more.

        Paths are those of the tree (`frontend/src/App.tsx`) and have passed `headrace.sync.paths`; what they are called in the
        store is the source's own business. Any number of calls at once. Raises TooLarge (`file.too_large`) as soon as all of
        them together are known to have more than `most_bytes`, Unavailable when the store does not answer, and StepFailed with
        a `source_…` reason for a place that can't be had (no such bucket, no right to read it).
        """
        ...
