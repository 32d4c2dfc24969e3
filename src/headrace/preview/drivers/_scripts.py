"""What a project's scripts run, read as far as they can be read for certain."""

import re
import shlex
from dataclasses import dataclass, field

from headrace.model.plan import BuildPlan
from headrace.plan.manifest import read_manifest
from headrace.plan.project_files import ProjectFiles
from headrace.plan.project_view import joined

#: Commands that only look: leaving them out changes no byte of a page.
_CHECKS = frozenset({"tsc", "vue-tsc", "eslint", "oxlint", "biome", "svelte-check", "prettier", "stylelint", "tsgo"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_RUNNERS = frozenset({"npx", "pnpm", "yarn", "bunx", "exec", "cross-env"})
_SHELL = re.compile(r"[|;&<>$`()\n]")


@dataclass(frozen=True)
class Call:
    """One command of a script: `NODE_ENV=x vite build --mode y`."""

    program: str
    words: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)


def script(plan: BuildPlan, files: ProjectFiles, name: str) -> str | None:
    """A script of the project's package.json."""
    manifest = read_manifest(files, joined(plan.root, "package.json"))
    return manifest.scripts.get(name) if manifest is not None else None


def calls(text: str) -> list[Call] | None:
    """The commands of a script that are joined by `&&` alone; None when a shell would do more than run them in turn."""
    found = []
    for part in text.split("&&"):
        if _SHELL.search(part):
            return None
        try:
            words = shlex.split(part)
        except ValueError:
            return None
        env: dict[str, str] = {}
        while words and (_ASSIGNMENT.fullmatch(words[0]) or words[0] in _RUNNERS):
            if "=" in words[0]:
                env[words[0].partition("=")[0]] = words[0].partition("=")[2]
            words.pop(0)
        if not words:
            return None
        found.append(Call(words[0].rpartition("/")[2], tuple(words[1:]), env))
    return found


def is_check(call: Call) -> bool:
    """Whether it is certain that it writes nothing that a page is made of."""
    emits = call.program in ("tsc", "tsgo") and any(word in ("--outDir", "--outFile") for word in call.words)
    return call.program in _CHECKS and not emits


def flags(words: tuple[str, ...], known: dict[str, str]) -> tuple[dict[str, str], list[str]] | None:
    """
    Options of a command by the names that `known` gives them, and its arguments. None when there is one that isn't known.
    """
    values: dict[str, str] = {}
    rest: list[str] = []
    at = 0
    while at < len(words):
        word, equals, value = words[at].partition("=")
        at += 1
        if not word.startswith("-"):
            rest.append(words[at - 1])
            continue
        name = known.get(word)
        if name is None:
            return None
        if not equals and at < len(words) and not words[at].startswith("-"):
            value = words[at]
            at += 1
        values[name] = value
    return values, rest
