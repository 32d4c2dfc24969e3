"""One project inside a version: what the planner and its detectors look at."""

import posixpath
import tomllib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from headrace.plan.manifest import Manifest
from headrace.plan.project_files import ProjectFiles
from headrace.plan.refusal import config_error


def joined(directory: str, path: str) -> str:
    """`path` below `directory`, where `""` is the root of the version."""
    return f"{directory}/{path}" if directory and path else directory or path


def placed(directory: str, path: str) -> str:
    """`joined`, with `..` carried out; never outside the version."""
    return posixpath.normpath(posixpath.join("/", directory, path)).strip("/")


@dataclass(frozen=True)
class ProjectView:
    """The files of a version, seen from the project's root. Paths are relative to that root unless they say otherwise."""

    files: ProjectFiles
    root: str = ""
    manifest: Manifest | None = None

    def has(self, path: str) -> bool:
        return joined(self.root, path) in self.files.paths()

    def first(self, *paths: str) -> str | None:
        """The first of `paths` that exists."""
        return next((path for path in paths if self.has(path)), None)

    def text(self, path: str) -> str | None:
        data = self.files.read(joined(self.root, path)) if self.has(path) else None
        return data.decode("utf-8-sig", "replace") if data is not None else None

    def toml(self, path: str) -> dict[str, Any]:
        """A TOML file of the project, empty when it is not there. Raises StepFailed when it is broken."""
        text = self.text(path)
        return parse_toml(joined(self.root, path), text) if text is not None else {}

    @cached_property
    def names(self) -> frozenset[str]:
        """Paths of the project's files."""
        if not self.root:
            return frozenset(self.files.paths())
        prefix = f"{self.root}/"
        return frozenset(path.removeprefix(prefix) for path in self.files.paths() if path.startswith(prefix))

    @cached_property
    def dependencies(self) -> dict[str, str]:
        return self.manifest.dependencies if self.manifest else {}


def parse_toml(path: str, text: str) -> dict[str, Any]:
    """Raises StepFailed with the line of the mistake."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        line, column = _place(str(exc), text)
        raise config_error(
            f"{path} is not valid TOML: {exc}",
            hint="strings need quotes, and every table and key may appear once",
            file=path,
            line=line,
            column=column,
        ) from exc


def _place(message: str, text: str) -> tuple[int | None, int | None]:
    """tomllib says the place only in its message, before Python 3.14."""
    words = message.replace(",", " ").replace(")", " ").split()
    if "line" in words and "column" in words:
        return int(words[words.index("line") + 1]), int(words[words.index("column") + 1])
    return text.count("\n") + 1, None
