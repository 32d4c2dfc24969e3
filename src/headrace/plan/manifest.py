"""`package.json` as the planner sees it."""

import json
from dataclasses import dataclass, field
from typing import Any

from headrace.merge_conflict import CONFLICT_HINT, conflict_line
from headrace.plan.project_files import ProjectFiles
from headrace.plan.refusal import config_error, line_at

#: A manifest is written by people. What is larger is something else with its name.
LARGEST_MANIFEST = 4 * 1024 * 1024

#: Fields of `package.json` that no package manager reads when it installs.
_NOT_FOR_INSTALLS = frozenset(
    {"author", "bugs", "contributors", "description", "funding", "homepage", "keywords", "license", "repository"}
)

#: Scripts that run by themselves during an install.
LIFECYCLE_SCRIPTS = (
    "preinstall",
    "install",
    "postinstall",
    "prepublish",
    "preprepare",
    "prepare",
    "postprepare",
    "pnpm:devPreinstall",
)


@dataclass(frozen=True)
class Manifest:
    """A `package.json`. Fields of a wrong type read as empty where that is harmless."""

    path: str
    raw: dict[str, Any]
    scripts: dict[str, str] = field(default_factory=dict)

    @property
    def dependencies(self) -> dict[str, str]:
        """Every package that is named, whatever the kind of dependency."""
        merged: dict[str, str] = {}
        for kind in ("peerDependencies", "optionalDependencies", "devDependencies", "dependencies"):
            merged.update(_strings(self.raw.get(kind)))
        return merged

    @property
    def has_dependencies(self) -> bool:
        return bool(self.dependencies)

    @property
    def engines(self) -> dict[str, str]:
        return _strings(self.raw.get("engines"))

    @property
    def lifecycle(self) -> tuple[str, ...]:
        return tuple(name for name in LIFECYCLE_SCRIPTS if name in self.scripts)

    @property
    def workspaces(self) -> tuple[str, ...]:
        """The patterns of npm's and yarn's workspaces."""
        declared = self.raw.get("workspaces")
        if isinstance(declared, dict):
            declared = declared.get("packages")
        return tuple(p for p in declared if isinstance(p, str)) if isinstance(declared, list) else ()

    def text(self, name: str) -> str | None:
        value = self.raw.get(name)
        return value if isinstance(value, str) else None

    def for_installs(self) -> bytes:
        """The part that an install depends on, in a fixed form. Other scripts than lifecycle scripts don't belong to it."""
        part = {name: value for name, value in self.raw.items() if name not in _NOT_FOR_INSTALLS | {"scripts"}}
        if self.lifecycle:
            part["scripts"] = {name: self.scripts[name] for name in self.lifecycle}
        return json.dumps(part, sort_keys=True, separators=(",", ":")).encode()


def read_manifest(files: ProjectFiles, path: str) -> Manifest | None:
    """The manifest at `path`, or None. Raises StepFailed with line and column when it is broken."""
    data = files.read(path)
    if data is None:
        return None
    if len(data) > LARGEST_MANIFEST:
        raise config_error(
            f"{path} is larger than {LARGEST_MANIFEST // 2**20} MiB",
            hint=f"{path} should hold the package's description only",
            file=path,
        )
    raw = _parse(path, data)
    if not isinstance(raw, dict):
        raise config_error(
            f"{path} holds {_kind(raw)}, not an object",
            hint=f'write {{"name": …, "scripts": …}} in {path}',
            file=path,
            line=1,
        )
    scripts = raw.get("scripts", {})
    if not isinstance(scripts, dict) or not all(isinstance(value, str) for value in scripts.values()):
        raise config_error(
            f'"scripts" in {path} must be an object of strings',
            hint='write for example "scripts": {"build": "vite build"}',
            file=path,
            line=_line_of(data, "scripts"),
        )
    return Manifest(path=path, raw=raw, scripts=dict(scripts))


def _parse(path: str, data: bytes) -> Any:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise config_error(
            f"{path} is not UTF-8 (byte {exc.start})",
            hint=f"save {path} as UTF-8",
            file=path,
            line=data.count(b"\n", 0, exc.start) + 1,
        ) from exc
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        conflict = conflict_line(text) is not None
        cause = "a merge conflict is in it" if conflict else exc.msg
        raise config_error(
            f"{path} is not valid JSON: {cause} (line {exc.lineno}, column {exc.colno})",
            hint=CONFLICT_HINT
            if conflict
            else "a missing or an extra comma, quote or brace is the usual cause; comments are not allowed",
            file=path,
            line=exc.lineno,
            column=exc.colno,
            excerpt=line_at(text, exc.lineno),
        ) from exc
    except RecursionError as exc:
        raise config_error(f"{path} is nested too deeply", hint=f"write a plain {path}", file=path) from exc


def _line_of(data: bytes, key: str) -> int | None:
    at = data.find(f'"{key}"'.encode())
    return data.count(b"\n", 0, at) + 1 if at >= 0 else None


def _strings(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {name: text for name, text in value.items() if isinstance(name, str) and isinstance(text, str)}


def _kind(value: object) -> str:
    names: dict[type, str] = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
