"""What a sleeping preview still shows: the last good page of each project, by the digest of its manifest."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from headrace.model.digest import Digest
from headrace.model.value import Value


class KeptPage(Value):
    version: str
    manifest: Digest


class KeptPages:
    """A small file for each. One that can't be read is as good as none: the page is made again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self, project_id: str) -> KeptPage | None:
        with suppress(OSError, ValidationError):
            return KeptPage.model_validate_json(self._path(project_id).read_bytes())
        return None

    def keep(self, project_id: str, page: KeptPage) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        aside = self._path(project_id).with_suffix(".new")
        aside.write_text(page.model_dump_json())
        aside.replace(self._path(project_id))

    def forget(self, project_id: str) -> None:
        self._path(project_id).unlink(missing_ok=True)

    def manifests(self) -> Iterator[Digest]:
        """Of all kept pages: garbage collection leaves them and their files."""
        for path in self._directory.glob("*.json"):
            if page := self.find(path.stem):
                yield page.manifest

    def _path(self, project_id: str) -> Path:
        return self._directory / f"{project_id}.json"
