"""
The page that a warm build has just written, as a manifest: read from the running sandbox, only what changed since.

What a tenant's process leaves there is not trusted: links are not followed, nothing is waited for, sizes are capped.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from headrace.checks.base import OutputFile
from headrace.checks.output_reader import list_output
from headrace.errors import StepFailed
from headrace.model.artifact import ArtifactFile, Manifest
from headrace.model.diagnostic import Failure, FailureReason
from headrace.model.digest import Digest, digest_of
from headrace.model.plan import Routing, StepId
from headrace.model.version import Tree
from headrace.pipeline.output_files import open_output_file, read_all
from headrace.pipeline.published import RULE_FILES, published
from headrace.pipeline.routing import routing_of
from headrace.site.hashed_names import has_content_hash
from headrace.site.media_types import media_type
from headrace.tree import canonical

#: A preview is held in memory, so it is smaller than what may be deployed.
LARGEST_FILE = 64 * 1024 * 1024
_MAP = ".map"


@dataclass(frozen=True)
class Shown:
    """A manifest with everything it names that is not in the store."""

    digest: Digest
    manifest: Manifest
    blobs: Mapping[Digest, bytes]
    #: Source maps that were written beside the page: not served, and looked up when an error is told. Path -> content.
    maps: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class _Seen:
    state: tuple[int, int, int, int]
    entry: ArtifactFile
    data: bytes


class OutputReader:
    """Reads one sandbox's output, again and again. Blocks: call it in a thread, one call at a time."""

    def __init__(self, directory: str, routing: Routing, *, most_bytes: int, most_files: int) -> None:
        self._directory = directory
        self._routing = routing
        self._most_bytes = most_bytes
        self._most_files = most_files
        self._seen: dict[str, _Seen] = {}

    def read(self, tree_fd: int) -> Shown:
        """The output as it lies below `tree_fd` now. Raises StepFailed for one that can't be shown."""
        output = list_output(tree_fd, self._directory, max_bytes=self._most_bytes, max_files=self._most_files)
        wanted = [*published(output.files), *(file for file in output.files if file.path in RULE_FILES)]
        seen: dict[str, _Seen] = {}
        for file in wanted:
            if file.size > LARGEST_FILE:
                raise _too_large(file)
            seen[file.path] = self._read(tree_fd, file.path)
        self._seen = seen
        served = [path for path in seen if path not in RULE_FILES and not path.endswith(_MAP)]
        if not served:
            raise _empty(self._directory)
        routing = routing_of(
            lambda path: open_output_file(tree_fd, self._at(path)), output.files, self._routing, _heard
        )
        manifest = Manifest(files=tuple(seen[path].entry for path in sorted(served)), routing=routing)
        data = canonical(manifest)
        digest = digest_of(data)
        blobs = {seen[path].entry.digest: seen[path].data for path in served} | {digest: data}
        maps = {path: found.data for path, found in seen.items() if path.endswith(_MAP)}
        return Shown(digest, manifest, blobs, maps)

    def _at(self, path: str) -> str:
        return str(PurePosixPath(self._directory, path))

    def _read(self, tree_fd: int, path: str) -> _Seen:
        with open_output_file(tree_fd, self._at(path)) as descriptor:
            about = os.fstat(descriptor)
            state = (about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
            known = self._seen.get(path)
            if known is not None and known.state == state:
                return known
            data = read_all(descriptor)
        digest = digest_of(data)
        if known is not None and known.entry.digest == digest:
            return _Seen(state, known.entry, data)
        entry = ArtifactFile(
            path=path,
            digest=digest,
            size=len(data),
            media_type=media_type(path, data),
            immutable=has_content_hash(path),
        )
        return _Seen(state, entry, data)


def plain_files(tree: Tree, directory: str, routing: Routing) -> Shown:
    """A project that is served as it is. Its files are in the store already, so the manifest is all there is to make."""
    prefix = f"{directory}/" if directory else ""
    files = {
        file.path.removeprefix(prefix): file
        for file in tree.files
        if file.digest is not None and file.path.startswith(prefix)
    }
    shown = published([OutputFile(path=path, size=file.size) for path, file in files.items()])
    if not shown:
        raise _empty(directory)
    entries = [
        ArtifactFile(
            path=path,
            digest=files[path].digest or "",
            size=files[path].size,
            media_type=media_type(path),
            immutable=has_content_hash(path),
        )
        for path in sorted(file.path for file in shown)
    ]
    names = {entry.path for entry in entries}
    own_page = "404.html" if "404.html" in names else None
    manifest = Manifest(files=tuple(entries), routing=routing.but(not_found=routing.not_found or own_page))
    data = canonical(manifest)
    return Shown(digest_of(data), manifest, {digest_of(data): data})


def _heard(_: str) -> None:
    """A build says what is odd about rule files; a preview, made many times an hour, would say it each time."""


def _too_large(file: OutputFile) -> StepFailed:
    return StepFailed(
        Failure(
            reason=FailureReason.OUTPUT_TOO_LARGE,
            step=StepId.VERIFY,
            message=f"{file.path} has {file.size / 2**20:.0f} MiB; a preview shows files of up to {LARGEST_FILE // 2**20} MiB",
            hint="load large files from where they are stored, or deploy the project",
        )
    )


def _empty(directory: str) -> StepFailed:
    return StepFailed(
        Failure(
            reason=FailureReason.OUTPUT_EMPTY,
            step=StepId.VERIFY,
            message=f"there is nothing to show in {directory or 'the project'!r}",
            hint="have the build write its pages there, or set output below [build] in headrace.toml",
        )
    )
