"""What a bucket holds of one project: `frontend/` and `backend/`, and of these only what can be files of a tree."""

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.errors import InvalidInput, TooLarge
from headrace.source._bucket import Bucket, Entry, at_once
from headrace.source._names import is_git_name
from headrace.tree.paths import check_path, parents, shown

PARTS = ("frontend", "backend")
#: Never part of a project, wherever they lie.
_NEVER = {".git", "node_modules", ".headrace"}


def is_left_out(path: str) -> bool:
    return not _NEVER.isdisjoint(path.split("/"))


@dataclass(frozen=True)
class Listing:
    #: By their path in the tree.
    files: Mapping[str, Entry]
    left_out: int


async def list_project(bucket: Bucket, prefix: str, *, most_files: int, most_bytes: int) -> Listing:
    """
    Asks for names only. `prefix` is that of the project, with its slash. Raises TooLarge (`bucket.too_large`), InvalidInput
    (`bucket.path_invalid`).
    """
    files: dict[str, Entry] = {}
    left_out = size = 0
    for part in PARTS:
        async for page in bucket.pages(f"{prefix}{part}/"):
            for entry in page:
                path = entry.key.removeprefix(prefix)
                if path == part:
                    continue  # the marker of the directory itself
                if is_left_out(path):
                    left_out += 1
                    continue
                check_key(path)
                files[path] = entry
                size += entry.size
            if len(files) > most_files or size > most_bytes:
                raise too_large(most_files, most_bytes)
    await _drop_markers(bucket, files)
    return Listing(files=dict(sorted(files.items())), left_out=left_out)


async def _drop_markers(bucket: Bucket, files: dict[str, Entry]) -> None:
    """Some programs put an object `src/` where `src/a.ts` is to be; it is listed as an empty file `src`."""
    for path in set(files).intersection(parents(files)):
        if files[path].size:
            raise invalid(path, "it is a file and a directory")
        del files[path]

    async def ask(path: str) -> None:
        if not await bucket.exists(files[path].key):
            del files[path]

    await at_once([path for path, entry in files.items() if not entry.size], ask)


def check_key(path: str) -> None:
    """Raises InvalidInput (`bucket.path_invalid`) unless this is a file below `frontend/` or `backend/`."""
    parts = path.split("/")
    if len(parts) < 2 or parts[0] not in PARTS:
        raise invalid(path, "it is neither below frontend/ nor below backend/")
    if "\\" in path or any(is_git_name(part) for part in parts):
        raise invalid(path, "another system would take it for something else")
    try:
        check_path(path)
    except InvalidInput as exc:
        raise invalid(path, exc.message.rpartition(": ")[2]) from exc


def invalid(path: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"the name {shown(path)!r} can't be used: {why}", code="bucket.path_invalid", hint="rename it in the bucket"
    )


def too_large(most_files: int, most_bytes: int) -> TooLarge:
    return TooLarge(
        f"the project's files in the bucket are more than {most_files}, or have more than {most_bytes} bytes",
        code="bucket.too_large",
        hint="leave files out, or let the operator raise HEADRACE_UPLOAD_BYTES or HEADRACE_UPLOAD_FILES",
    )
