"""A framework as one row: what marks it, what builds it, what it writes, and what makes it need a server."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from headrace.model.plan import RedirectRule
from headrace.plan.detectors.base import Detected
from headrace.plan.detectors.scripts import calls_it, chosen_build, chosen_dev
from headrace.plan.project_view import ProjectView

CONFIG_ENDINGS = ("ts", "js", "mjs", "mts", "cjs", "cts")

#: Why a project of a framework is static; None when it needs a server. Gets the text of its configuration.
IsStatic = Callable[[ProjectView, str], str | None]

#: More than this is no configuration that people wrote.
_LARGEST_CONFIG = 262_144
_LONGEST_SCRIPT = 16_384

#: Looked at for those that have no other usual directories of their own.
_USUAL = ("dist", "build", "out", "public")

_SPA = "a single page, whose routes only the browser knows"


def always(_: ProjectView, __: str) -> str:
    return "it writes pages"


def never(_: ProjectView, __: str) -> None:
    return None


@dataclass(frozen=True)
class Row:
    """A new one in the table of `frameworks.py` is all that a new framework needs."""

    framework: str
    #: As its people write it.
    title: str
    #: Any of these packages marks it.
    packages: tuple[str, ...] = ()
    #: All of these packages have to be there too.
    also: tuple[str, ...] = ()
    #: Any of these files marks it.
    files: tuple[str, ...] = ()
    #: Names of its configuration without the ending, as seen from the project.
    config: tuple[str, ...] = ()
    #: What its build and its development server are called on a command line; the first words of scripts that call them.
    build: str = ""
    dev: str = ""
    output: str = "dist"
    #: Other directories that such projects write to.
    output_candidates: tuple[str, ...] = ()
    #: Where the configuration, or a flag of the build script, names another output: one group each.
    output_settings: tuple[str, ...] = ()
    output_flags: tuple[str, ...] = ()
    static: IsStatic = always
    #: What it is where it makes no files, and what to change so that it does.
    as_server: str = "needs a server to answer"
    as_files: str = ""
    spa: bool = False
    #: Directory whose files are copied to the output as they are.
    published: str = "public"
    #: Where the configuration names the path below which the pages expect to be served: one group.
    base_setting: str = ""
    #: It often stands beside something else that the project builds, so its own script goes before `build`.
    beside: bool = False
    #: Its people often have no script for it, so that its build is run as it is.
    alone: bool = False
    #: Further reason to be one, for marks that others have too.
    when: Callable[[ProjectView], bool] | None = None
    rules: tuple[RedirectRule, ...] = ()
    port: int | None = None
    #: What its development server prints when it answers, as a regular expression.
    ready: str = ""
    #: Directories that make its next run faster.
    caches: tuple[str, ...] = ()
    #: Variables with these prefixes end up in what visitors get.
    env_prefix: tuple[str, ...] = ()


class ByRow:
    """Implements `Detector` for one row."""

    def __init__(self, row: Row, *, alone: bool = False) -> None:
        """`alone`: as the row's own, for a whole group."""
        self.row = row
        self._alone = alone or row.alone

    @property
    def framework(self) -> str:
        return self.row.framework

    def detect(self, view: ProjectView) -> Detected | None:
        row = self.row
        mark = _mark(row, view)
        if mark is None:
            return None
        config = view.first(*(f"{name}.{ending}" for name in row.config for ending in CONFIG_ENDINGS), *row.config)
        text = without_comments((view.text(config) or "")[:_LARGEST_CONFIG]) if config else ""
        script = chosen_build(view, row.build, beside=row.beside)
        static = row.static(view, text)
        output, output_why = _output(row, view, text, script)
        kind: Literal["static", "server"] = "static" if static else "server"
        reason = f"it {row.as_server}" if not static else "" if row.static is always else static
        return Detected(
            framework=row.framework,
            kind=kind,
            why=f"{mark}, and {reason}" if reason else mark,
            source=config or (mark.split()[0] if view.has(mark.split()[0]) else "package.json"),
            script=script or "build",
            command=row.build if self._alone and row.build else None,
            dev_script=chosen_dev(view, row.dev, beside=row.beside),
            output=output,
            output_why=output_why,
            output_candidates=row.output_candidates or _USUAL,
            as_server=row.as_server,
            as_files=row.as_files,
            spa=row.spa,
            spa_why=_SPA if row.spa else "a page that does not exist is an error",
            published=row.published,
            base=_base(row, view, text),
            caches=row.caches,
            rules=row.rules,
        )


def _mark(row: Row, view: ProjectView) -> str | None:
    if row.when is not None and not row.when(view):
        return None
    if not all(name in view.dependencies for name in row.also):
        return None
    if package := next((name for name in row.packages if name in view.dependencies), None):
        return f"package.json depends on {package}"
    if file := view.first(*row.files):
        return f"{file} is there"
    return None


def _output(row: Row, view: ProjectView, text: str, script: str | None) -> tuple[str, str]:
    command = view.manifest.scripts.get(script, "")[:_LONGEST_SCRIPT] if view.manifest and script else ""
    for patterns, where, words in (
        (row.output_flags, command, "the build script names it"),
        (row.output_settings, text, f"the configuration of {row.title} names it"),
    ):
        for pattern in patterns:
            if (match := re.search(pattern, where)) and (inside := inside_project(match[1])):
                return inside, words
    return row.output, f"where {row.title} writes its pages"


def _base(row: Row, view: ProjectView, text: str) -> str:
    if not row.base_setting:
        return "/"
    if row.base_setting == "homepage":
        home = view.manifest.text("homepage") if view.manifest else None
        found = re.sub(r"^https?://[^/]+", "", home or "")
    else:
        match = re.search(row.base_setting, text)
        found = match[1] if match else ""
    return f"/{found.strip('/')}/" if re.fullmatch(r"/?[\w.-]+(/[\w.-]+)*/?", found) and ".." not in found else "/"


def inside_project(path: str) -> str:
    """A directory of a configuration as a path below the project, `""` when it is not one."""
    names = [name for name in path.strip().split("/") if name not in ("", ".")]
    return "" if path.startswith(("/", "~")) or ".." in names or "$" in path else "/".join(names)


def without_comments(text: str) -> str:
    # An open comment goes to the end: looked for from each beginning, its end would cost as much as the text is long.
    return re.sub(r"(?m)(?:^|(?<=[\s(){}\[\],;]))(?://[^\n]*|/\*[\s\S]*?(?:\*/|\Z))", "", text)


def says(pattern: str, why: str) -> IsStatic:
    """Static when the configuration's text says so."""
    return lambda _, text: why if re.search(pattern, text) else None


def unless(pattern: str, why: str) -> IsStatic:
    return lambda _, text: None if re.search(pattern, text) else why


def depends(package: str) -> IsStatic:
    return lambda view, _: f"it depends on {package}" if package in view.dependencies else None


def runs(command: str, why: str) -> IsStatic:
    """Static when the build script calls `command`."""

    def found(view: ProjectView, _: str) -> str | None:
        return why if calls_it(view.manifest.scripts.get("build", "") if view.manifest else "", command) else None

    return found


def any_of(*rules: IsStatic) -> IsStatic:
    return lambda view, text: next((why for rule in rules if (why := rule(view, text))), None)
