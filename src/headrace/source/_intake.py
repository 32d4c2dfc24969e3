"""What every archive is held to, whatever its format: names, kinds, and how much there may be."""

import re
import unicodedata
from dataclasses import dataclass, field

from headrace.errors import InvalidInput, TooLarge
from headrace.source._names import NAME_BYTES, PATH_BYTES, is_git_name
from headrace.tree.paths import shown

_DRIVE = re.compile(r"[A-Za-z]:")
#: Up to here a high ratio of packed to unpacked is what small files of one letter have.
_RATIO_FROM = 16 << 20
_RATIO = 250
#: What macOS adds to its zip files, and no project means.
_LEFT_OUT = "__MACOSX"


@dataclass(frozen=True)
class ArchiveLimits:
    #: Unpacked bytes of all files together.
    bytes: int
    #: Files and directories together.
    files: int


@dataclass
class Intake:
    """Told about each member before anything of it is written. Raises InvalidInput or TooLarge, with the code of the rule."""

    limits: ArchiveLimits
    #: Whether the archive has an entry for its root, so that all names are relative to it.
    has_root: bool = False
    members: int = 0
    size: int = 0
    #: Folded name -> the name as it was written, and whether it is a directory.
    _seen: dict[str, tuple[str, bool]] = field(default_factory=dict)

    def member(self, name: str, *, is_directory: bool, size: int) -> str | None:
        """The path below the root that the member gets. None for one that is not written: the root itself, or left out."""
        self.members += 1
        if self.members > self.limits.files:
            raise too_many(self.limits)
        self.expect(size)
        parts = self._parts(name)
        if not parts:
            if not name or not is_directory:
                raise invalid(f"it has a file without a name: {shown(name)!r}")
            self.has_root = True
            return None
        if parts[0] == _LEFT_OUT:
            return None
        path = "/".join(parts)
        self._remember(parts, is_directory=is_directory)
        return path

    def expect(self, size: int) -> None:
        """Count bytes that a member says it has."""
        self.size += size
        if self.size > self.limits.bytes:
            raise too_large(f"the archive unpacks to more than {self.limits.bytes} bytes")

    def _parts(self, name: str) -> list[str]:
        parts = name.split("/")
        if "\\" in name or name.startswith("/") or _DRIVE.match(name) or ".." in parts:
            raise InvalidInput(
                f"the archive has a path that leads out of it: {shown(name)!r}",
                code="archive.path_escape",
                hint="make the archive inside the project's directory, with relative names and forward slashes",
            )
        parts = [part for part in parts if part not in {"", "."}]
        if "\0" in name or len(name.encode(errors="replace")) > PATH_BYTES:
            raise invalid(f"a name is longer than {PATH_BYTES} bytes, or has a NUL: {shown(name)!r}")
        if any(len(part.encode(errors="replace")) > NAME_BYTES for part in parts):
            raise invalid(f"a part of a name is longer than {NAME_BYTES} bytes: {shown(name)!r}")
        if any(is_git_name(part) for part in parts):
            raise InvalidInput(
                f"the archive has a git directory: {shown(name)!r}",
                code="upload.reserved_path",
                hint="leave .git out: `git archive --format=zip HEAD` makes an archive without it",
            )
        return parts

    def _remember(self, parts: list[str], *, is_directory: bool) -> None:
        for end in range(1, len(parts) + 1):
            last = end == len(parts)
            path, as_directory = "/".join(parts[:end]), is_directory or not last
            # Other systems take names that differ in case or in composition for one file; which one wins is luck there.
            key = unicodedata.normalize("NFC", path).casefold()
            known = self._seen.get(key)
            self._seen[key] = (path, as_directory)
            # A directory may be named again and again: each of its files does.
            if known is not None and (known != (path, as_directory) or not as_directory):
                raise InvalidInput(
                    f"the archive has two entries for one path: {shown(path)!r} and {shown(known[0])!r}",
                    code="archive.duplicate_path",
                    hint="every file may be there once, and names that differ only in case count as one",
                )


def check_ratio(unpacked: int, packed: int) -> None:
    if unpacked > _RATIO_FROM and unpacked > packed * _RATIO:
        raise too_large(f"the archive unpacks to more than {_RATIO} times its size")


def too_large(message: str) -> TooLarge:
    return TooLarge(message, code="archive.too_large", hint="leave out what can be made again, such as node_modules")


def too_many(limits: ArchiveLimits) -> TooLarge:
    return TooLarge(
        f"the archive has more than {limits.files} files and directories",
        code="archive.too_many_files",
        hint="leave out what can be made again, such as node_modules",
    )


def corrupt(message: str) -> InvalidInput:
    return InvalidInput(
        f"the archive is damaged: {message}", code="archive.corrupt", hint="make it again and upload it whole"
    )


def invalid(message: str) -> InvalidInput:
    return InvalidInput(f"the archive can't be used: {message}", code="archive.invalid")


def unsupported(message: str) -> InvalidInput:
    return InvalidInput(message, code="archive.unsupported", hint="upload a tar, tar.gz, tar.zst or zip file")


def link_forbidden(name: str) -> InvalidInput:
    return InvalidInput(
        f"the archive has a link: {shown(name)!r}",
        code="archive.link_forbidden",
        hint="put what it points at into the archive instead (tar --dereference)",
    )


def type_forbidden(name: str, what: str) -> InvalidInput:
    return InvalidInput(
        f"the archive has {what}: {shown(name)!r}",
        code="archive.type_forbidden",
        hint="only plain files and directories are taken",
    )
