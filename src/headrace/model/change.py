"""A change that somebody sends, file by file, and what came of it."""

from collections.abc import Mapping
from typing import Literal

from headrace.model.digest import Digest
from headrace.model.value import Value
from headrace.model.version import Author, TreeFile


class Edit(Value):
    """
    What shall become of one file: it gets `content`, or bytes that the project had before (`digest`), or goes (`delete`).

    With both `content` and `digest` the digest is what the sender takes the content's to be. A file keeps its executable bit
    when `executable` is None; a new one has none.
    """

    path: str
    content: bytes | None = None
    digest: Digest | None = None
    delete: bool = False
    executable: bool | None = None


class Change(Value):
    """Edits that take effect together or not at all, and the version that their sender had before its eyes."""

    edits: tuple[Edit, ...]
    #: None: what was sent counts, whatever the project holds now.
    base_version: str | None = None
    author: Author
    message: str = ""


class FileDelta(Value):
    """How one file of a new version differs from the version before. Equal digests: only its executable bit changed."""

    path: str
    change: Literal["added", "modified", "deleted"]
    before: Digest | None = None
    after: Digest | None = None


class ConflictHunk(Value):
    """Lines that both sides changed, as they end in the file. Bytes that are not UTF-8 are shown as U+FFFD."""

    #: Number of the first of `ours` in the newest version's file, from 1.
    line: int
    base: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()
    theirs: tuple[str, ...] = ()
    #: Lines that are not shown, of all three sides together.
    omitted: int = 0


#: `deleted_here`: it went from the project; `deleted_there`: the sender deletes what the project has changed; `directory`: a file on
#: one side, a directory on the other; `link`: it became a symbolic link; `unmerged`: the merge could not be tried.
ConflictKind = Literal[
    "lines", "binary", "too_large", "both_added", "deleted_here", "deleted_there", "directory", "link", "unmerged"
]


class FileConflict(Value):
    """
    A file that two changes want in different ways: `base` is what both started from, `ours` what the project's newest version
    has, `theirs` what was sent. None: the file isn't there.
    """

    path: str
    why: ConflictKind
    base: Digest | None = None
    ours: Digest | None = None
    theirs: Digest | None = None
    hunks: tuple[ConflictHunk, ...] = ()


#: Path -> what the file is from now on; None for one that goes.
Files = Mapping[str, TreeFile | None]
