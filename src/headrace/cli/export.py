"""Writes an artifact's files to a directory of the user's."""

from pathlib import Path

from headrace.errors import CorruptBlob, InvalidInput
from headrace.model.artifact import Manifest
from headrace.model.digest import Digest
from headrace.store.base import BlobFile, Store


def check_target(directory: Path) -> None:
    """Refuse a directory that has something in it: afterwards it holds the artifact and nothing else."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InvalidInput(
            f"{directory} is not empty", hint="--export wants a directory that is empty or not there yet"
        )


async def export(store: Store, artifact: Digest, directory: Path) -> int:
    """Write every file of the artifact below `directory`; how many there are."""
    manifest = Manifest.model_validate_json(await store.read(artifact))
    files = [BlobFile(file.digest, _place(directory, file.path)) for file in manifest.files]
    directory.mkdir(parents=True, exist_ok=True)
    for parent in sorted({file.path.parent for file in files}):
        parent.mkdir(parents=True, exist_ok=True)
    await store.write_many(files)
    return len(files)


def _place(directory: Path, path: str) -> Path:
    parts = path.split("/")
    if not all(parts) or any(part in (".", "..") or "\0" in part for part in parts):
        raise CorruptBlob(f"the manifest holds a path that leaves its directory: {path!r}")
    return directory.joinpath(*parts)
