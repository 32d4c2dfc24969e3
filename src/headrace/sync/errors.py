"""How a sync says no: which entries are wrong, or which files two changes want in different ways."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from headrace.errors import Conflict, InvalidInput, TooLarge
from headrace.model.change import FileConflict
from headrace.model.digest import Digest
from headrace.tree.paths import shown

#: As many wrong entries are named.
_NAMED = 100


class Wrong(NamedTuple):
    """What is wrong with one entry."""

    entry: int
    code: str
    message: str
    field: str = "path"
    digest: Digest | None = None


def refused(wrong: Sequence[Wrong], *, entries: str = "files") -> InvalidInput | TooLarge:
    """The error for wrong entries, with the code of the first. Its details name each, and nothing of the sync was done."""
    first, pointers = wrong[0], [f"/{entries}/{one.entry}/{one.field}" for one in wrong[:_NAMED]]
    kind = _TooLargeEntries if first.code == "file.too_large" else _WrongEntries
    error = kind(f"{entries}[{first.entry}]: {first.message}", code=first.code, field=pointers[0])
    error.details = [
        {"pointer": pointer, "code": one.code, "message": one.message}
        for pointer, one in zip(pointers, wrong, strict=False)
    ]
    missing = sorted({one.digest for one in wrong if one.digest is not None})
    error.more = {"index": first.entry, **({"missing": missing} if missing else {})}
    return error


class _Listed:
    #: Each wrong entry as pointer, code and message.
    details: Sequence[Mapping[str, str]] = ()
    #: Members of the answer beside those that every problem has.
    more: Mapping[str, object] = {}


class _WrongEntries(_Listed, InvalidInput):
    pass


class _TooLargeEntries(_Listed, TooLarge):
    pass


class VersionConflict(Conflict):
    """The project's files changed since the sender looked, in the same places. Nothing was stored."""

    code = "version.conflict"

    def __init__(self, conflicts: Sequence[FileConflict], version: str) -> None:
        names = ", ".join(shown(conflict.path) for conflict in conflicts[:3])
        more = f" and {len(conflicts) - 3} more" if len(conflicts) > 3 else ""
        super().__init__(
            f"{names}{more} changed since the base version",
            hint=f"look at the hunks, and send these files again with base_version {version}",
        )
        self.conflicts = tuple(conflicts)
        #: The project's newest version, which the change could not be merged with.
        self.version = version
        self.more = {
            "version": version,
            "conflicts": [conflict.model_dump(mode="json") for conflict in conflicts],
        }
