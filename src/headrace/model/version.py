"""Where code comes from, and one immutable tree of it."""

import re
from typing import Annotated, Literal

from pydantic import Field

from headrace.model.digest import Digest
from headrace.model.trust import Trust
from headrace.model.value import Value


class DirectorySource(Value):
    """A directory on this machine."""

    kind: Literal["directory"] = "directory"
    path: str


class GitSource(Value):
    """A git repository. `commit` (full SHA) wins over `ref` (a branch or a tag); neither means the default branch."""

    kind: Literal["git"] = "git"
    url: str
    ref: str | None = None
    commit: str | None = None


class ArchiveSource(Value):
    """An uploaded tar or zip file, already on this machine."""

    kind: Literal["archive"] = "archive"
    path: str


class BucketSource(Value):
    """
    Object storage: a project's files lie below `{url}/{project_id}/frontend/` and `…/backend/`. How it is reached is the
    operator's to say; nothing of it is part of a project.
    """

    kind: Literal["bucket"] = "bucket"
    #: `s3://bucket/prefix`, `az://container/prefix`, `gs://bucket/prefix` or `file:///directory`.
    url: str


class VersionSource(Value):
    """A version that is already stored."""

    kind: Literal["version"] = "version"
    version: str


Source = Annotated[
    DirectorySource | GitSource | ArchiveSource | BucketSource | VersionSource, Field(discriminator="kind")
]


def place_name(source: DirectorySource | GitSource, app: str | None = None) -> str:
    """What people would call it: the last part of its path or URL, and that of the app's name when it is one of several."""
    place = source.path if isinstance(source, DirectorySource) else source.url
    name = re.split(r"[/:]", place.rstrip("/"))[-1].removesuffix(".git") or "project"
    return f"{name}-{app.rpartition('/')[2]}" if app else name


class TreeFile(Value):
    """One file or link of a tree. `link` holds the target of a symbolic link, which then has no digest of its own."""

    path: str
    digest: Digest | None = None
    size: int = 0
    executable: bool = False
    link: str | None = None


class Tree(Value):
    """A directory as data: files sorted by path. Its digest is the digest of this value's canonical JSON."""

    files: tuple[TreeFile, ...]


class Author(Value):
    kind: Literal["user", "agent", "git"]
    name: str


class Version(Value):
    """One immutable tree of a project, with where it came from."""

    id: str
    project_id: str
    tree: Digest
    parent: str | None = None
    author: Author
    message: str = ""
    #: Full SHA of the git commit, if the version came from one.
    commit: str | None = None
    branch: str | None = None
    #: An untrusted one is never a project's newest version, and every build of it is untrusted.
    trust: Trust = Trust.TRUSTED
    files: int
    bytes: int
    created_at: str
