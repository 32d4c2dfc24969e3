"""
What lies on disk for a layer, below `<root>/<64 hexadecimal digits>/`:

    tree/        the files
    layer.json   what is known about them, with a checksum; never changed
    lock         held shared by whoever uses the tree; its modification time is the last use
    synced       there once all of it is known to be on disk; the digest of what `tree` held then
"""

import re
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from headrace.disk import replace_file
from headrace.errors import is_short
from headrace.model.digest import Digest, digest_of
from headrace.model.plan import CacheKey
from headrace.model.value import Value
from headrace.tree import canonical

_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")

TREE, RECORD, LOCK, SYNCED = "tree", "layer.json", "lock", "synced"


class Layer(Value):
    """A directory that is mounted, never changed: installed dependencies, a tool chain or a written-out source tree."""

    key: CacheKey
    #: The files. Stays as it is while the layer is pinned.
    path: Path
    #: What the files take on disk.
    bytes: int
    files: int
    #: Id of the build that made it; "" for layers that are made by no build.
    made_by: str
    #: What making it took, which is what a hit saves.
    seconds: float
    #: Who may use it.
    scope: str
    #: The layer that making this one began with.
    begun_with: Digest | None = None
    created_at: str
    used_at: str


class Record(Value):
    """`layer.json`."""

    key: CacheKey
    bytes: int
    files: int
    made_by: str
    seconds: float
    scope: str
    begun_with: Digest | None = None
    created_at: str
    #: The start of the machine in which the layer was made. After another one its files are only trusted if `synced` is there.
    boot: str


class _Stored(Value):
    layer: Record
    digest: Digest


def write_record(entry: Path, record: Record) -> None:
    stored = _Stored(layer=record, digest=digest_of(canonical(record)))
    (entry / RECORD).write_bytes(canonical(stored))


def read_record(entry: str, boot: str) -> Record | None:
    """
    None for an entry that isn't there, is damaged, or may have lost bytes when the machine went down. Raises OSError when this
    machine is short of something.
    """
    try:
        with open(f"{entry}/{RECORD}", "rb") as file:  # noqa: PTH123 - on the path of every restore
            stored = _Stored.model_validate_json(file.read())
    except ValidationError:
        return None
    except OSError as exc:
        if is_short(exc):
            raise
        return None
    record = stored.layer
    if digest_of(canonical(record)) != stored.digest:
        return None
    if record.boot != boot and synced_content(Path(entry)) is None:
        return None
    return record


def mark_synced(entry: Path, content: Digest) -> None:
    replace_file(entry / SYNCED, content.encode(), durable=False)


def synced_content(entry: Path) -> Digest | None:
    """What `tree` held when it was known to be on disk; None when that is not known, as with a mark that is not whole itself."""
    try:
        said = (entry / SYNCED).read_bytes()
    except OSError as exc:
        if is_short(exc):
            raise
        return None
    return said.decode() if _DIGEST.fullmatch(said) else None


def layer_of(record: Record, tree: Path, used_at: str) -> Layer:
    facts = {name: getattr(record, name) for name in Record.model_fields if name != "boot"}
    return Layer(**facts, path=tree, used_at=used_at)


def stamp(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="milliseconds")
