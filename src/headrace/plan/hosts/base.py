"""What the files of other hosts say, in the terms of this one."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from headrace.model.plan import HeaderRule, Ignored, RedirectRule
from headrace.model.value import Value
from headrace.site.headers_file import header_problem

#: Rules beyond this are not written by people.
MOST_RULES = 1000

_INSTALLS = re.compile(
    r"(?:npm|pnpm|yarn|bun)(?:\s+(?:install|i|ci|add))?(?:\s+--?[\w=.-]+)*|corepack\s+(?:enable|prepare)\b.*|npm i(?:nstall)? -g (?:pnpm|yarn|npm|bun)\S*"
)
_RUNS = re.compile(
    r"(?:npm|pnpm|yarn|bun)\s+(?:run\s+|run-script\s+)?([\w:.-]+)|npx\s+(?:pnpm|yarn)\s+(?:run\s+)?([\w:.-]+)"
)


class HostSettings(Value):
    """One file's settings. What it does not say is None or empty; what has no meaning here is `ignored`, once each."""

    source: str
    root: str | None = None
    framework: str | None = None
    #: The script of package.json that builds; else the command line that does.
    script: str | None = None
    command: str | None = None
    install: str | None = None
    output: str | None = None
    node: str | None = None
    env: dict[str, str] = Field(default_factory=dict)
    spa: bool | None = None
    clean_urls: bool | None = None
    trailing_slash: bool | None = None
    redirects: tuple[RedirectRule, ...] = ()
    headers: tuple[HeaderRule, ...] = ()
    ignored: tuple[Ignored, ...] = ()


class Said:
    """Collects what a file says while it is read."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.values: dict[str, Any] = {}
        self.ignored: list[Ignored] = []
        self.redirects: list[RedirectRule] = []
        self.headers: list[HeaderRule] = []

    def ignore(self, setting: str, why: str) -> None:
        if not any(seen.setting == setting for seen in self.ignored):
            self.ignored.append(Ignored(source=self.source, setting=setting, why=why))

    def text(self, key: str, value: object, setting: str) -> None:
        """Take a setting over that has to be words."""
        if isinstance(value, str) and value.strip() and "\0" not in value:
            self.values[key] = value.strip()
        elif value not in (None, ""):
            self.ignore(setting, "it is not a text")

    def flag(self, key: str, value: object, setting: str) -> None:
        if isinstance(value, bool):
            self.values[key] = value
        elif value is not None:
            self.ignore(setting, "it is neither true nor false")

    def build(self, value: object, setting: str, scripts: Mapping[str, str]) -> None:
        """A build command: a script of package.json when it runs just that, and without the install that comes before anyway."""
        self.text("command", value, setting)
        if (command := self.values.pop("command", None)) is None:
            return
        parts = [part.strip() for part in command.split("&&")]
        kept = [part for part in parts if not _INSTALLS.fullmatch(part)]
        if len(kept) == 1 and (run := _RUNS.fullmatch(kept[0])) and (name := run[1] or run[2]) in scripts:
            self.values["script"] = name
        elif kept:
            self.values["command"] = " && ".join(kept)
        else:
            self.ignore(setting, "it only installs, which is done anyway")

    def install(self, value: object, setting: str) -> None:
        if isinstance(value, str) and _INSTALLS.fullmatch(value.strip()) and " --" not in value:
            return
        if value == "":
            self.ignore(setting, "dependencies are installed whenever package.json has some")
        else:
            self.text("install", value, setting)

    def header(self, path: str | None, pairs: list[tuple[str, str]], setting: str) -> None:
        if path is None:
            self.ignore(setting, "its pattern can't be followed here")
            return
        for name, value in pairs:
            if problem := header_problem(name, value):
                self.ignore(f"{setting} {name}", problem)
        fine = tuple((name, value) for name, value in pairs if not header_problem(name, value))
        if fine and len(self.headers) < MOST_RULES:
            self.headers.append(HeaderRule(path=path, headers=fine))

    def settings(self) -> HostSettings:
        return HostSettings(
            source=self.source,
            redirects=tuple(self.redirects[:MOST_RULES]),
            headers=tuple(self.headers),
            ignored=tuple(self.ignored),
            **self.values,
        )


def entries(value: object) -> list[dict[str, Any]]:
    """The tables of a list, without what is none."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def words(value: object) -> dict[str, str]:
    """A table of texts and numbers."""
    if not isinstance(value, dict):
        return {}
    return {
        str(key): str(entry)
        for key, entry in value.items()
        if isinstance(entry, str | int | float) and not isinstance(entry, bool)
    }
