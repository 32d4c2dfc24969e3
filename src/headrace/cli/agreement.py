"""What a directory and its project on the server have in common, file by file: tells whose change a difference is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from headrace.cli.local_files import LocalFile
from headrace.disk import replace_file
from headrace.errors import StoreFull


class Index(NamedTuple):
    """The files of the project's newest version; the version is None when there is none yet."""

    version: str | None
    files: Mapping[str, LocalFile]

    @classmethod
    def of(cls, answer: Any) -> Self:
        # A link has no digest. It was not sent from here, and is left as it is.
        return cls(
            answer["version"],
            {f["path"]: LocalFile(f["digest"], f["size"], f["executable"]) for f in answer["files"] if f["digest"]},
        )


@dataclass
class Agreement:
    """A file that differs from it here was changed here; one that differs from it on the server was changed by somebody else."""

    #: The newest version that was looked at; None before the first look.
    version: str | None = None
    files: dict[str, LocalFile] = field(default_factory=dict)
    #: Files that somebody else changed, with the last version in which they were as they are known here.
    ahead: dict[str, str] = field(default_factory=dict)

    @classmethod
    def kept(cls, path: Path) -> Self:
        """What an earlier run left. Nothing, when it can't be read: then what is here counts."""
        try:
            stored = json.loads(path.read_bytes())
            files = {name: LocalFile(*file) for name, file in stored["files"].items()}
            return cls(stored["version"], files, stored["ahead"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def keep(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            stored = {"version": self.version, "files": self.files, "ahead": self.ahead}
            replace_file(path, json.dumps(stored, separators=(",", ":")).encode(), durable=False)
        except (OSError, StoreFull):
            # The next run then takes what is here for newer, as it does the first time.
            path.unlink(missing_ok=True)

    def meet(self, here: Mapping[str, LocalFile], there: Index) -> list[str]:
        """Take a look at the server into account; the files that were changed there alone since the last look."""
        first = self.version is None
        files: dict[str, LocalFile] = {}
        ahead: dict[str, str] = {}
        news = []
        for path in here.keys() | there.files.keys() | self.files.keys():
            ours, theirs = here.get(path), there.files.get(path)
            before = theirs if first else self.files.get(path)
            known = ours if ours == theirs else before
            if known is not None:
                files[path] = known
            if theirs not in (ours, before) and self.version is not None:
                ahead[path] = self.ahead.get(path, self.version)
                if ours == before and path not in self.ahead:
                    news.append(path)
        self.version, self.files, self.ahead = there.version, files, ahead
        return sorted(news)

    def pending(self, here: Mapping[str, LocalFile]) -> dict[str, LocalFile | None]:
        """What was changed here: path to the file as it is now, None for one that is gone."""
        changed: dict[str, LocalFile | None] = {
            path: file for path, file in here.items() if self.files.get(path) != file
        }
        return changed | {path: None for path in self.files if path not in here}

    def base(self, path: str) -> str | None:
        """The version that a change of this file starts from."""
        return self.ahead.get(path, self.version)

    def settle(self, path: str, file: LocalFile | None, *, ahead_of: str | None = None) -> None:
        """The file counts as known, as it is here. `ahead_of`: the server has another one, which was known up to that version."""
        if file is None:
            self.files.pop(path, None)
        else:
            self.files[path] = file
        if ahead_of is None:
            self.ahead.pop(path, None)
        else:
            self.ahead[path] = ahead_of
