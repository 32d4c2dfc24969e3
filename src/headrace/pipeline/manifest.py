"""An output as a manifest of files in the store: read once, hashed, compressed beside itself."""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import chain

from headrace.checks.base import Output, OutputFile
from headrace.errors import CorruptBlob, NotFound
from headrace.model.artifact import Artifact, ArtifactFile, Manifest
from headrace.model.digest import Digest, digest_of
from headrace.model.plan import BuildPlan
from headrace.pipeline.known_codings import KnownCodings
from headrace.pipeline.output_files import open_output_file, read_all
from headrace.pipeline.published import left_out, published, same_name_warnings
from headrace.pipeline.routing import routing_of
from headrace.site.codings import CODINGS, LARGEST, coded, is_worth_coding
from headrace.site.hashed_names import has_content_hash
from headrace.site.media_types import is_compressible, media_type
from headrace.store.base import Store
from headrace.tree import canonical

#: Bytes of files that are held in memory at the same time.
_GROUP_BYTES = 64 * 1024 * 1024
_GROUP_FILES = 256


async def make_artifact(
    store: Store,
    tree_fd: int,
    output: Output,
    plan: BuildPlan,
    *,
    known: KnownCodings | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> tuple[Artifact, Manifest]:
    """
    Store the files of `output`, which lies below the directory `tree_fd`, and the manifest that lists them.

    Raises StepFailed when a file isn't the regular file that was seen before. `known` saves compressing again what an
    earlier artifact had. `warn` gets a sentence for everything that is left out or will surprise.
    """
    at = _Place(tree_fd, output.directory)
    files = published(output.files)
    for message in chain(left_out(output.files), same_name_warnings(files)):
        warn(message)
    routing = await asyncio.to_thread(routing_of, at.open, output.files, plan.routing, warn)
    entries: list[ArtifactFile] = []
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="codings") as pool:
        for group in _groups(files):
            entries += await _store_group(store, at, group, pool, known)
        for file in files:
            if file.size > LARGEST:
                entries.append(await _store_large(store, at, file))
    manifest = Manifest(files=tuple(sorted(entries, key=lambda entry: entry.path)), routing=routing)
    digest = await store.put(canonical(manifest))
    return Artifact(digest=digest, files=len(entries), bytes=sum(entry.size for entry in entries)), manifest


@dataclass(frozen=True)
class _Place:
    """Where the output is. Its files are opened by their path in it."""

    tree_fd: int
    directory: str

    def open(self, path: str) -> AbstractContextManager[int]:
        return open_output_file(self.tree_fd, f"{self.directory}/{path}" if self.directory else path)


@dataclass
class _Loaded:
    """A file in memory. `coded` holds its codings once they are known."""

    path: str
    data: bytes
    digest: Digest
    media_type: str
    coded: dict[str, bytes] = field(default_factory=dict)
    #: Runs when codings must be made.
    making: dict[str, Future[bytes | None]] = field(default_factory=dict)


async def _store_group(
    store: Store, at: _Place, group: Sequence[OutputFile], pool: ThreadPoolExecutor, known: KnownCodings | None
) -> list[ArtifactFile]:
    loaded = await asyncio.to_thread(lambda: [_load(at, file) for file in group])
    to_code = [file for file in loaded if is_compressible(file.media_type) and is_worth_coding(len(file.data))]
    # The longest first, so that no processor is left alone with it at the end.
    for file in sorted(to_code, key=lambda file: len(file.data), reverse=True):
        found = await _find_codings(store, file.digest, known)
        if found is None:
            file.making = {coding: pool.submit(coded, file.data, coding) for coding in CODINGS}
        else:
            file.coded = found
    await store.put_many(_blobs(loaded))
    entries = [_entry(file) for file in loaded]
    if known is not None:
        fresh = [(file.digest, entry.encodings) for file, entry in zip(loaded, entries, strict=True) if file.making]
        await asyncio.to_thread(known.remember_all, fresh)
    return entries


def _blobs(loaded: Sequence[_Loaded]) -> Iterator[bytes]:
    """Files first: they are on their way to the disk while the pool still compresses."""
    yield from (file.data for file in loaded)
    for file in loaded:
        for coding, made in file.making.items():
            if (blob := made.result()) is not None:
                file.coded[coding] = blob
        yield from file.coded.values()


def _load(at: _Place, file: OutputFile) -> _Loaded:
    with at.open(file.path) as descriptor:
        data = read_all(descriptor)
    return _Loaded(file.path, data, digest_of(data), media_type(file.path, data))


async def _find_codings(store: Store, digest: Digest, known: KnownCodings | None) -> dict[str, bytes] | None:
    """Read whole, so that putting them again protects them from a collector that runs now."""
    codings = await asyncio.to_thread(known.find, digest) if known else None
    if codings is None:
        return None
    try:
        return {name: await store.read(blob) for name, blob in codings.items()}
    except (NotFound, CorruptBlob):
        return None


def _entry(file: _Loaded) -> ArtifactFile:
    return ArtifactFile(
        path=file.path,
        digest=file.digest,
        size=len(file.data),
        media_type=file.media_type,
        encodings={name: digest_of(blob) for name, blob in file.coded.items()},
        immutable=has_content_hash(file.path),
    )


async def _store_large(store: Store, at: _Place, file: OutputFile) -> ArtifactFile:
    with at.open(file.path) as descriptor:
        digest = await store.put_file(descriptor)
    return ArtifactFile(
        path=file.path,
        digest=digest,
        size=await store.size(digest),
        media_type=media_type(file.path),
        immutable=has_content_hash(file.path),
    )


def _groups(files: Sequence[OutputFile]) -> Iterator[list[OutputFile]]:
    """The files that fit into memory, in groups that do together."""
    group: list[OutputFile] = []
    held = 0
    for file in files:
        if file.size > LARGEST:
            continue
        if group and (held + file.size > _GROUP_BYTES or len(group) == _GROUP_FILES):
            yield group
            group, held = [], 0
        group.append(file)
        held += file.size
    if group:
        yield group
