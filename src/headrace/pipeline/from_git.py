"""A project begins as a copy of a git repository, in the bucket that is its source from then on."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from headrace.errors import Conflict, HeadraceError
from headrace.model.ids import new_id
from headrace.model.version import BucketSource, GitSource, Tree
from headrace.pipeline.services import Services
from headrace.source.base import Fetched, KeepingSource
from headrace.source.bucket import BucketFetcher
from headrace.tree import snapshot, store_tree

#: What a repository has at its root when that is the whole project.
_PROJECT_FILES = ("package.json", "index.html")


def bucket_of(services: Services) -> KeepingSource:
    fetcher = services.sources["bucket"]
    assert isinstance(fetcher, BucketFetcher)  # noqa: S101 - it is found by this name
    return fetcher


@asynccontextmanager
async def copied(
    services: Services, project_id: str, source: BucketSource, origin: GitSource
) -> AsyncIterator[Fetched]:
    """
    The repository's files, which lie in the bucket too while this is open, and stay there unless the block fails.

    Raises what fetching from git does, and what `KeepingSource.write_version` does; Conflict when something is there already.
    """
    seconds, bucket = services.settings.clone_seconds, bucket_of(services)
    place = services.settings.data_dir / "uploads" / new_id("req")
    try:
        cloned = await services.sources["git"].fetch(origin, place / "frontend", seconds=seconds)
        fetched = await asyncio.to_thread(_arranged, cloned, place)
        tree = await asyncio.to_thread(snapshot, fetched.root, fetched.paths)
        await store_tree(services.store, fetched.root, tree)
        try:
            await bucket.write_version(source, project_id, tree, services.store, seconds=seconds, create_only=True)
        except Conflict:
            raise  # what is there is somebody else's
        except BaseException:
            await _forget(services, project_id, source)
            raise
        try:
            yield fetched
        except BaseException:
            await _forget(services, project_id, source)
            raise
    finally:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)


async def _forget(services: Services, project_id: str, source: BucketSource) -> None:
    """Nobody knows this id, so nobody would ever remove what is below it. A bucket that does not answer keeps it."""
    seconds, nothing = services.settings.clone_seconds, Tree(files=())
    with suppress(HeadraceError):
        removal = bucket_of(services).write_version(source, project_id, nothing, services.store, seconds=seconds)
        # Also when the request was given up.
        await asyncio.shield(removal)


def _arranged(cloned: Fetched, place: Path) -> Fetched:
    """
    A repository becomes `frontend/`, unless it has the two parts already: then it is taken as it is, without what lies beside
    them.
    """
    root = cloned.root
    parts = [part for part in ("frontend", "backend") if (root / part).is_dir()]
    if not parts or any((root / name).is_file() for name in _PROJECT_FILES):
        return cloned.but(root=place, paths=["frontend"])
    beside = sorted(path.name for path in root.iterdir() if path.name not in parts)
    notes = [*cloned.notes, f"left out, because it is beside {' and '.join(parts)}: {', '.join(beside[:10])}"]
    return cloned.but(paths=parts, notes=notes if beside else cloned.notes)
