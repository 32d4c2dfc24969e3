"""The entries of a change, checked one by one before anything is done: they count together or not at all."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from headrace.errors import TooLarge
from headrace.model.change import Edit, Files
from headrace.model.digest import Digest, digest_of
from headrace.model.limits import MIB
from headrace.model.version import TreeFile
from headrace.settings import Settings
from headrace.sync.errors import Wrong, refused
from headrace.sync.fitting import refuse_edit
from headrace.sync.known_tree import KnownTree
from headrace.sync.paths import PathRefused, refuse_path
from headrace.tree.paths import shown

#: Everything of one sync is in memory at once.
_FILE_BYTES = 32 * MIB
_BATCH_FILES = 20_000


@dataclass(frozen=True)
class SyncLimits:
    #: Largest file, and most entries, of one sync.
    file_bytes: int
    entries: int
    #: What the project may hold afterwards.
    files: int
    bytes: int

    @classmethod
    def of(cls, settings: Settings) -> "SyncLimits":
        return cls(
            file_bytes=min(_FILE_BYTES, settings.upload_bytes),
            entries=min(_BATCH_FILES, settings.upload_files),
            files=settings.upload_files,
            bytes=settings.upload_bytes,
        )


@dataclass(frozen=True)
class Sent:
    """What a change makes of the files that it names, with the bytes that came with it."""

    files: Files
    contents: Mapping[Digest, bytes]


def check_edits(edits: Sequence[Edit], base: KnownTree, limits: SyncLimits) -> None:
    """Raises InvalidInput or TooLarge that names every wrong entry. Looks at names, sizes and declared digests."""
    if len(edits) > limits.entries:
        raise TooLarge(
            f"{len(edits)} files are more than the {limits.entries} of one request",
            code="batch.too_many",
            hint="send them in several requests, or upload an archive: POST /projects/{id}/versions",
        )
    seen: set[str] = set()
    wrong: list[Wrong] = []
    for index, edit in enumerate(edits):
        found = _refuse_name(edit, base, twice=edit.path in seen) or _refuse_content(edit, limits)
        seen.add(edit.path)
        if found is not None:
            wrong.append(found._replace(entry=index))
    if wrong:
        raise refused(wrong)


def _refuse_name(edit: Edit, base: KnownTree, *, twice: bool) -> Wrong | None:
    if twice:
        return Wrong(0, "path.invalid", f"{shown(edit.path)!r} is there twice")
    # What a project has came through another door, with rules of its own; it must be possible to change it.
    if base.get(edit.path) is not None:
        return None
    said = refuse_path(edit.path)
    if said is not None and said.code == "path.invalid":
        said = refuse_path(edit.path, _known_directory(edit.path, base))
    said = said or _twin(edit.path, base)
    return Wrong(0, said.code, said.why) if said else None


def _known_directory(path: str, tree: KnownTree) -> str:
    at = path.rfind("/")
    while at > 0:
        if tree.is_directory(path[:at]):
            return path[: at + 1]
        at = path.rfind("/", 0, at)
    return ""


def _twin(path: str, tree: KnownTree) -> PathRefused | None:
    """Another spelling of the same characters, which some systems take for the same file."""
    if path.isascii():
        return None
    known = {_nfc(begin): begin for other in tree.paths if not other.isascii() for begin in _beginnings(other)}
    for begin in _beginnings(path):
        if known.get(_nfc(begin), begin) != begin:
            return PathRefused(
                "path.invalid", f"{shown(path)!r} is there already, in other characters of the same look"
            )
    return None


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _beginnings(path: str) -> Iterator[str]:
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)
    yield path


def _refuse_content(edit: Edit, limits: SyncLimits) -> Wrong | None:
    if edit.content is None:
        return None
    if len(edit.content) > limits.file_bytes:
        said = f"{shown(edit.path)!r} has {len(edit.content)} bytes; a file has at most {limits.file_bytes}"
        return Wrong(0, "file.too_large", said, field="content")
    if edit.digest is not None and digest_of(edit.content) != edit.digest:
        said = f"the content of {shown(edit.path)!r} does not have the digest that came with it"
        return Wrong(0, "upload.digest_mismatch", said, field="digest")
    return None


def read_edits(edits: Sequence[Edit], base: KnownTree, ours: KnownTree, known: Mapping[Digest, int]) -> Sent:
    """
    Checked edits as files. `known` is the size of each digest that came without content and that the project has; an entry with
    another one is refused, and so is one that does not fit into `base`.
    """
    files: dict[str, TreeFile | None] = {}
    contents: dict[Digest, bytes] = {}
    wrong: list[Wrong] = []
    for index, edit in enumerate(edits):
        if edit.delete:
            files[edit.path] = None
            continue
        old = base.get(edit.path) or ours.get(edit.path)
        executable = edit.executable if edit.executable is not None else bool(old and old.executable)
        digest = edit.digest or digest_of(edit.content or b"")
        if edit.content is not None:
            contents[digest] = edit.content
        elif digest not in known:
            said = f"the project has no file with this digest; send the content of {shown(edit.path)!r}"
            wrong.append(Wrong(index, "digest.unknown", said, field="digest", digest=digest))
            continue
        size = known[digest] if edit.content is None else len(edit.content)
        files[edit.path] = TreeFile(path=edit.path, digest=digest, size=size, executable=executable)
    if wrong:
        raise refused(wrong)
    after = base.changed(files)
    for index, edit in enumerate(edits):
        if said_no := refuse_edit(edit, base, after):
            wrong.append(Wrong(index, said_no.code, said_no.why))
    if wrong:
        raise refused(wrong)
    return Sent(files, contents)


def check_result(before: KnownTree, after: KnownTree, limits: SyncLimits) -> None:
    """Raises TooLarge when the project would be too large, and would grow: coming down is always possible."""
    if len(after) > limits.files and len(after) > len(before):
        raise TooLarge(
            f"the project would have {len(after)} files; the most is {limits.files}",
            code="project.too_many_files",
            hint="leave out what the build makes again, such as node_modules",
        )
    if after.bytes > limits.bytes and after.bytes > before.bytes:
        raise TooLarge(
            f"the project would have {after.bytes} bytes; the most is {limits.bytes}",
            code="project.too_large",
            hint="leave out what the build makes again, such as node_modules",
        )
