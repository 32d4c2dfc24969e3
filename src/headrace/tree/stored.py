"""Trees in a store: in, out, and written to a directory."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from headrace.disk import storage_errors
from headrace.errors import Conflict, CorruptBlob, NotFound
from headrace.model.digest import Digest, digest_of
from headrace.model.limits import MIB
from headrace.model.version import Tree, TreeFile
from headrace.store.base import BlobFile, Store
from headrace.tree.canonical import canonical
from headrace.tree.paths import check_tree, parents, shown
from headrace.tree.scan import opened_below

#: Larger files are streamed into the store one by one.
_IN_MEMORY = 4 * MIB


def tree_digest(tree: Tree) -> Digest:
    return digest_of(canonical(tree))


async def store_tree(store: Store, root: Path, tree: Tree, *, like: Digest | None = None) -> Digest:
    """
    Store `tree`, a snapshot of `root`, with those of its files that the store lacks. Raises Conflict (`source.changed`) when a
    file is not any more what it was in the snapshot. `like` is a tree that this one was made from: what is equal or similar
    in the two is kept once.
    """
    before = await contents_of(store, like)
    missing = await store.missing({file.digest for file in tree.files if file.digest is not None})
    wanted = list({file.digest: file for file in tree.files if file.digest in missing}.values())
    small = [file for file in wanted if file.size <= _IN_MEMORY]
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        likes = [before.get(file.path) for file in small]
        stored = await store.put_many(_contents(descriptor, small), likes=likes)
        for file, digest in zip(small, stored, strict=True):
            if digest != file.digest:
                raise _changed(file.path)
        for file in wanted:
            if file.size > _IN_MEMORY:
                await _store_large(store, descriptor, file)
    finally:
        os.close(descriptor)
    return await store_entries(store, tree, like=like)


async def store_entries(store: Store, tree: Tree, *, like: Digest | None = None) -> Digest:
    """Store a tree whose files are stored already. `like` is a tree that it resembles: its parent's."""
    return await store.put(canonical(tree), like=like)


async def contents_of(store: Store, digest: Digest | None) -> dict[str, Digest]:
    """The digests of a tree's files by their paths, as hints for what resembles them; none when it can't be read."""
    if digest is None:
        return {}
    with suppress(NotFound, CorruptBlob):
        return {file.path: file.digest for file in (await load_tree(store, digest)).files if file.digest is not None}
    return {}


async def load_tree(store: Store, digest: Digest) -> Tree:
    """Raises NotFound, or CorruptBlob also for a blob that is no tree."""
    data = await store.read(digest)
    try:
        return Tree.model_validate_json(data)
    except ValidationError as exc:
        raise CorruptBlob(f"{digest} is not a tree") from exc


async def write_tree(store: Store, tree: Tree, into: Path) -> None:
    """
    Write `tree` below `into`, which is made, or is empty. Raises InvalidInput for a tree that could leave it, NotFound or
    CorruptBlob for a missing file. Not durable, and not atomic: write aside, then rename.
    """
    await asyncio.to_thread(_prepare, tree, into)
    files = [BlobFile(f.digest, into / f.path, f.executable) for f in tree.files if f.digest is not None]
    await store.write_many(files)
    # Links come last: no file is ever written through one.
    await asyncio.to_thread(_write_links, tree, into)


def _contents(root: int, files: Sequence[TreeFile]) -> Iterator[bytes]:
    for file in files:
        try:
            with opened_below(root, file.path) as descriptor:
                # A file that grows while it is read is one that changed: its digest tells.
                yield os.read(descriptor, file.size + 1) if file.size else b""
        except OSError as exc:
            raise _changed(file.path) from exc


async def _store_large(store: Store, root: int, file: TreeFile) -> None:
    try:
        with opened_below(root, file.path) as descriptor:
            await store.put_file(descriptor, file.digest)
    except (OSError, CorruptBlob) as exc:
        raise _changed(file.path) from exc


def _prepare(tree: Tree, into: Path) -> None:
    check_tree(tree)
    with storage_errors():
        into.mkdir(parents=True, exist_ok=True)
        if any(into.iterdir()):
            raise Conflict(f"{into} is not empty")
        for directory in parents(file.path for file in tree.files):
            (into / directory).mkdir()


def _write_links(tree: Tree, into: Path) -> None:
    with storage_errors():
        for file in tree.files:
            if file.link is not None:
                (into / file.path).symlink_to(file.link)


def _changed(path: str) -> Conflict:
    return Conflict(
        f"{shown(path)} changed while it was read", code="source.changed", hint="try again when nothing writes to it"
    )
