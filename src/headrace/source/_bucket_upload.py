"""Writes a tree into a bucket: what is there already stays, and what the tree does not have goes last."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from headrace.model.version import Tree, TreeFile
from headrace.site.media_types import media_type
from headrace.source._bucket import PIECE, Bucket, Entry, at_once
from headrace.source._bucket_listing import check_key, is_left_out
from headrace.source.base import Written
from headrace.store.base import Store


@dataclass
class _Count:
    sent: int = 0
    kept: int = 0


async def upload(bucket: Bucket, prefix: str, tree: Tree, store: Store, present: Mapping[str, Entry]) -> Written:
    """`present` is what the bucket holds of the project, by its path. Called again after a failure it goes on."""
    files = _followed(tree)
    for path in files:
        check_key(path)
    count = _Count()

    async def send(item: tuple[str, TreeFile]) -> None:
        path, file = item
        if file.size > PIECE:
            await bucket.write(prefix + path, _stream(store, file), media_type(path))
        else:
            data = await store.read(_digest(file))
            if _is_there(present.get(path), data):
                count.kept += 1
                return
            await bucket.write(prefix + path, data, media_type(path, data))
        count.sent += 1

    await at_once(files.items(), send)
    stale = [entry.key for path, entry in present.items() if path not in files]
    await at_once(stale, lambda key: bucket.delete([key]))
    return Written(sent=count.sent, kept=count.kept, removed=len(stale))


def _followed(tree: Tree) -> dict[str, TreeFile]:
    """Buckets have no links: a link to a file is that file, any other is left out."""
    by_path = {file.path: file for file in tree.files}
    found: dict[str, TreeFile] = {}
    for path, file in by_path.items():
        at: TreeFile | None = file
        for _ in range(40):
            if at is None or at.link is None:
                break
            at = by_path.get(_joined(at.path.rpartition("/")[0], at.link))
        # What would not be listed again could not be removed again either.
        if at is not None and at.link is None and not is_left_out(path):
            found[path] = at
    return found


def _joined(directory: str, target: str) -> str:
    parts = directory.split("/") if directory else []
    for part in target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def _is_there(entry: Entry | None, data: bytes) -> bool:
    """S3's tag of a small object is the MD5 of its bytes; another store's never is, and then it is sent again."""
    return entry is not None and entry.etag == hashlib.md5(data, usedforsecurity=False).hexdigest()


async def _stream(store: Store, file: TreeFile) -> AsyncIterator[bytes]:
    async for piece in store.stream(_digest(file)):
        yield piece


def _digest(file: TreeFile) -> str:
    assert file.digest is not None  # noqa: S101 - links have been followed
    return file.digest
