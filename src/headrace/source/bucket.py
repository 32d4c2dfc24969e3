"""Object storage: S3, Azure Blob Storage, Google Cloud Storage, or a directory that is used like one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, NamedTuple

from headrace.errors import (
    BucketDenied,
    BucketUnreachable,
    Conflict,
    HeadraceError,
    InvalidInput,
    InvalidSetting,
    NotFound,
    StepFailed,
    TooLarge,
)
from headrace.model.bucket import BucketAccess, BucketUrl, parse_bucket_url
from headrace.model.diagnostic import FailureReason
from headrace.model.version import Author, BucketSource, Source, Tree
from headrace.settings import Settings
from headrace.source._bucket import Bucket, at_once
from headrace.source._bucket_directory import DirectoryBucket
from headrace.source._bucket_download import download
from headrace.source._bucket_listing import Listing, check_key, list_project
from headrace.source._bucket_upload import upload
from headrace.source._failures import source_failed
from headrace.source._stop import Stop, Stopped, run_in_thread
from headrace.source.base import Fetched, SourceFile, Written
from headrace.store.base import Store

__all__ = ["BucketFetcher", "check_bucket_source", "open_bucket"]

#: What a failed step says of what a call can't have.
_REASONS: dict[type[HeadraceError], FailureReason] = {
    NotFound: FailureReason.SOURCE_NOT_FOUND,
    BucketDenied: FailureReason.SOURCE_AUTH_FAILED,
    BucketUnreachable: FailureReason.SOURCE_UNREACHABLE,
    TooLarge: FailureReason.SOURCE_TOO_LARGE,
}


class _Place(NamedTuple):
    access: BucketAccess
    #: Of the source inside the bucket; empty, or with its slash.
    prefix: str


def _place(source: BucketSource, settings: Settings) -> _Place:
    """The configured bucket that holds the source: of several the one that says most. Raises InvalidInput."""
    url = parse_bucket_url(source.url)
    found: dict[BucketUrl, _Place] = {}
    for access in settings.buckets.values():
        root = parse_bucket_url(access.url)
        if (rest := url.below(root)) is not None:
            found[root] = _Place(access, "".join(f"{part}/" for part in rest))
    if found:
        return found[max(found, key=lambda root: len(root.parts))]
    allowed = ", ".join(sorted(access.url for access in settings.buckets.values()))
    raise InvalidInput(
        "this server has no access to that bucket",
        code="source.bucket_not_allowed",
        field="/source/url",
        hint=f"a source may be at or below: {allowed}" if allowed else "the operator can name one in HEADRACE_BUCKETS",
    )


def check_bucket_source(source: BucketSource, settings: Settings) -> None:
    """Everything that can be said of a source without asking anyone. Raises InvalidInput."""
    _place(source, settings)


def open_bucket(access: BucketAccess) -> Bucket:
    """Reaches nothing. Raises InvalidSetting: the client of clouds is not installed, or refuses what it is given."""
    url = parse_bucket_url(access.url)
    if url.scheme == "file":
        return DirectoryBucket(Path("/", *url.parts))
    try:
        # Not every installation has its client, and not every process needs it.
        from headrace.source._bucket_cloud import open_cloud  # noqa: PLC0415
    except ModuleNotFoundError as exc:
        raise InvalidSetting(
            f"HEADRACE_BUCKETS: {url.scheme}:// needs the extra `bucket`", hint="pip install 'headrace[bucket]'"
        ) from exc
    return open_cloud(access)


class BucketFetcher:
    """Connections are kept between calls. Raises InvalidSetting when it is made, before anybody needs a bucket."""

    kind: ClassVar[str] = "bucket"

    def __init__(self, settings: Settings, *, open_bucket: Callable[[BucketAccess], Bucket] = open_bucket) -> None:
        self._settings = settings
        self._buckets = {access.url: open_bucket(access) for access in settings.buckets.values()}

    async def tidy(self) -> None:
        """Nothing is kept."""

    async def fetch(self, source: Source, into: Path, *, seconds: float, project_id: str = "") -> Fetched:
        bucket, prefix = self._reach(source, project_id)

        def work(stop: Stop) -> Listing:
            return _run_until(stop, download(bucket, lambda: self._list(bucket, prefix), into))

        try:
            listing = await run_in_thread(work, seconds=seconds)
        except tuple(_REASONS) as exc:
            raise _as_step(exc) from exc
        if not listing.files:
            raise source_failed(
                FailureReason.SOURCE_EMPTY,
                f"bucket.empty: there is nothing below {prefix}frontend/ and {prefix}backend/ of the bucket",
                hint="put the project's files there",
            )
        left_out = f"{listing.left_out} files of .git, node_modules or .headrace were left out"
        return Fetched(
            root=into, author=Author(kind="user", name="unknown"), notes=[left_out] if listing.left_out else []
        )

    async def list_files(self, source: Source, project_id: str) -> Sequence[SourceFile]:
        bucket, prefix = self._reach(source, project_id)
        async with _within(self._settings.clone_seconds):
            listing = await self._list(bucket, prefix)
        return [
            SourceFile(path=path, size=e.size, etag=e.etag, modified=e.modified.isoformat(timespec="milliseconds"))
            for path, e in listing.files.items()
        ]

    async def read_files(
        self, source: Source, project_id: str, paths: Sequence[str], *, most_bytes: int
    ) -> Mapping[str, bytes | None]:
        bucket, prefix = self._reach(source, project_id)
        found: dict[str, bytes | None] = {}
        left = most_bytes

        async def read(path: str) -> None:
            nonlocal left
            check_key(path)
            data = await bucket.read_now(prefix + path, left)
            left -= len(data or b"")
            if left < 0:
                raise TooLarge(f"the files have more than {most_bytes} bytes together", code="file.too_large")
            found[path] = data

        try:
            async with _within(self._settings.clone_seconds):
                await at_once(dict.fromkeys(paths), read)
        except (NotFound, BucketDenied) as exc:
            raise _as_step(exc) from exc
        return found

    async def write_version(
        self, source: Source, project_id: str, tree: Tree, store: Store, *, seconds: float, create_only: bool = False
    ) -> Written:
        bucket, prefix = self._reach(source, project_id)
        async with _within(seconds):
            present = await self._list(bucket, prefix)
            if create_only and present.files:
                raise Conflict(
                    f"the bucket has files below {prefix} already", code="bucket.not_empty", hint="remove them first"
                )
            return await upload(bucket, prefix, tree, store, present.files)

    def _reach(self, source: Source, project_id: str) -> tuple[Bucket, str]:
        assert isinstance(source, BucketSource)  # noqa: S101 - sources are chosen by their kind
        if not project_id:
            raise InvalidInput("a bucket holds many projects: which one is meant?", code="source.project_missing")
        place = _place(source, self._settings)
        return self._buckets[place.access.url], f"{place.prefix}{project_id}/"

    async def _list(self, bucket: Bucket, prefix: str) -> Listing:
        most_files, most_bytes = self._settings.upload_files, self._settings.upload_bytes
        return await list_project(bucket, prefix, most_files=most_files, most_bytes=most_bytes)


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise BucketUnreachable(f"the bucket was not done after {seconds:g} s", hint="try again later") from None


def _run_until(stop: Stop, work: Coroutine[object, object, Listing]) -> Listing:
    """`work` in an event loop of this thread: its many small files hold up nobody else's."""

    async def main() -> Listing:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()

        def end() -> None:
            loop.call_soon_threadsafe(task.cancel)

        with stop.killing(end):
            return await task

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise Stopped from None


def _as_step(exc: HeadraceError) -> StepFailed:
    return source_failed(_REASONS[type(exc)], f"{exc.exact_code}: {exc.message}", hint=exc.hint)
