"""The contract of sources: they bring code into an empty directory."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from headrace.model.sandbox import HostUse
from headrace.model.value import Value
from headrace.model.version import Author, Source, Tree
from headrace.store.base import Store


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
    #: What the connections to the source came to, where that is counted.
    network: Sequence[HostUse] = ()


class SourceFetcher(Protocol):
    kind: ClassVar[str]

    async def fetch(self, source: Source, into: Path, *, seconds: float, project_id: str = "") -> Fetched:
        """
        Bring the code below `into`, or leave it where it is and say so in `Fetched.root`. A place that holds several projects
        knows by `project_id` which one is meant; the others don't look at it.

        Raises InvalidInput for a source that is refused as such (`source.url_not_allowed`, `archive.path_escape` and the like),
        StepFailed with a `source_…` reason for one that can't be had. `into` is empty again then. Never waits for a prompt.
        Cancelled, it returns when no process of its own is left.
        """
        ...

    async def tidy(self) -> None:
        """Let go of what was kept to make fetching faster and has not been used for long. Called now and again."""
        ...


class SourceFile(Value):
    """A file of a project as its source lists it."""

    path: str
    size: int
    #: Differs when the file does; what it is made of is the store's own business.
    etag: str
    #: When it was written, in UTC.
    modified: str


class Written(Value):
    """What writing a version to its source did: files sent, files that were there already, and files taken away."""

    sent: int
    kept: int
    removed: int


class KeepingSource(Protocol):
    """A source that keeps a project's files by name: they can be listed, and a version can be written to it."""

    async def list_files(self, source: Source, project_id: str) -> Sequence[SourceFile]:
        """All files of the project, sorted by path, without their bytes. Empty when there are none. Raises like `write_version`."""
        ...

    async def write_version(
        self, source: Source, project_id: str, tree: Tree, store: Store, *, seconds: float, create_only: bool = False
    ) -> Written:
        """
        Make the project's files there those of `tree`, whose paths begin with `frontend/` or `backend/`. Nothing is taken away
        before everything is sent, so a call that fails can be made again. A link is sent as the file that it points to.

        Raises Conflict (`bucket.not_empty`) for `create_only` when the project has files there; InvalidInput, NotFound
        (`bucket.not_found`), BucketDenied or BucketUnreachable, also when it takes longer than `seconds`.
        """
        ...


@runtime_checkable
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
