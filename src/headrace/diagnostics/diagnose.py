"""Why a command failed: the sandbox's own evidence first, then what its tools said."""

import json
import re
import shlex
from collections.abc import Collection, Iterable, Sequence

from headrace.diagnostics.astro import Astro
from headrace.diagnostics.base import Found, LogLine, Parser
from headrace.diagnostics.biome import Biome
from headrace.diagnostics.bun import Bun
from headrace.diagnostics.create_react_app import CreateReactApp
from headrace.diagnostics.docusaurus import Docusaurus
from headrace.diagnostics.eleventy import Eleventy
from headrace.diagnostics.esbuild import Esbuild
from headrace.diagnostics.eslint import Eslint
from headrace.diagnostics.evidence import evident, heap_may_be_full, how_it_ended
from headrace.diagnostics.farm import Farm
from headrace.diagnostics.fit import cut, fitted
from headrace.diagnostics.gatsby import Gatsby
from headrace.diagnostics.locate import Read, about_repository, located
from headrace.diagnostics.lock_differences import with_differences
from headrace.diagnostics.merge import merged
from headrace.diagnostics.next_build import NextBuild
from headrace.diagnostics.node import Node
from headrace.diagnostics.node_version import NodeVersion
from headrace.diagnostics.npm import Npm
from headrace.diagnostics.nuxt import Nuxt
from headrace.diagnostics.parcel import Parcel
from headrace.diagnostics.places import Places
from headrace.diagnostics.pnpm import Pnpm
from headrace.diagnostics.postcss import Postcss
from headrace.diagnostics.prettier import Prettier
from headrace.diagnostics.rollup import Rollup
from headrace.diagnostics.said import Said
from headrace.diagnostics.sass import Sass
from headrace.diagnostics.shell import Shell
from headrace.diagnostics.stylelint import Stylelint
from headrace.diagnostics.svelte_check import SvelteCheck
from headrace.diagnostics.sveltekit import SvelteKit
from headrace.diagnostics.tasks import apart
from headrace.diagnostics.tsc import Tsc
from headrace.diagnostics.unset import Unset
from headrace.diagnostics.vite import Vite
from headrace.diagnostics.vitest import Vitest
from headrace.diagnostics.webpack import Webpack
from headrace.diagnostics.window import window
from headrace.diagnostics.yarn_berry import YarnBerry
from headrace.diagnostics.yarn_classic import YarnClassic
from headrace.model.diagnostic import Diagnostic, Failure, FailureReason
from headrace.model.plan import PlannedCommand, StepId
from headrace.model.sandbox import WORKING_DIRECTORY, CommandResult

#: Tools that know their errors, those that know them best first: a framework before its bundler, a package manager, which
#: only says that a script failed, after both. Below them what is left when none of them has a reason.
PARSERS: tuple[Parser, ...] = (
    NextBuild(),
    CreateReactApp(),
    Gatsby(),
    Docusaurus(),
    Nuxt(),
    SvelteKit(),
    Eleventy(),
    Farm(),
    SvelteCheck(),
    Tsc(),
    Vite(),
    Astro(),
    Parcel(),
    Sass(),
    Postcss(),
    Webpack(),
    Rollup(),
    Esbuild(),
    Eslint(),
    Stylelint(),
    Biome(),
    Prettier(),
    Vitest(),
    Pnpm(),
    YarnClassic(),
    YarnBerry(),
    Bun(),
    Npm(),
    NodeVersion(),
)
LAST: tuple[Parser, ...] = (Shell(), Node(), Unset())


#: The working directory at the beginning of a path; `./app/page.tsx` is another one.
_INSIDE = re.compile(rf"(?<![\w.@~-]){WORKING_DIRECTORY}/")
#: How many findings are looked up in the project's files.
_LOOKED_UP = 5
#: Where a command is written.
_WITH_COMMANDS = ("package.json", "headrace.toml")
_USUAL_HINT = {
    FailureReason.TYPE_ERROR: "correct the types there; the project's own type check shows the same errors",
    FailureReason.SYNTAX_ERROR: "correct the file there; the build can't read it",
    FailureReason.CONFIG_ERROR: "correct the configuration there",
    FailureReason.PRERENDER_FAILED: "correct what the page throws while its HTML is made",
    FailureReason.LINT_ERROR: "correct it, or set the rule to a warning",
    FailureReason.VERSION_NOT_FOUND: "ask for a version that was published",
}


def diagnose(
    step: StepId,
    command: PlannedCommand,
    result: CommandResult,
    lines: Iterable[LogLine],
    files: Collection[str],
    read: Read | None = None,
) -> Failure:
    """
    The failure of a command that did not succeed. `files` are the version's paths. At most 8 KiB as JSON.

    `read` gives a file of the version: with it a line is found where a tool names only the file.

    Never raises for anything a log may hold. A cancelled command is no failure of the user's: the caller knows that it
    was cancelled and does not use the answer.
    """
    read_lines = window(lines)
    found = [about_repository(one) for one in _find(apart(read_lines), Places(files, command.directory))]
    evidence = evident(command, result)
    if evidence is None and result.exit_code and not any(line.text.strip() for line in read_lines):
        found = [_silent(command, result)]
    if read is not None:
        found = [
            *(with_differences(located(one, files, read), read) for one in found[:_LOOKED_UP]),
            *found[_LOOKED_UP:],
        ]
    found = [one.but(diagnostic=_from_the_project(one.diagnostic)) for one in found]
    diagnostics = tuple(one.diagnostic for one in found)
    if not heap_may_be_full(command, result):
        found = [one for one in found if one.reason is not FailureReason.OUT_OF_MEMORY]
    if evidence is not None:
        reason, message, hint = evidence
    elif found:
        reason, message = found[0].reason, _sentence(found)
        hint = found[0].diagnostic.hint or _USUAL_HINT.get(reason, "the log shows what it printed")
        if reason is FailureReason.OUT_OF_MEMORY:
            hint = _heap_hint(command)
    else:
        reason, message, hint = (
            FailureReason.COMMAND_FAILED,
            _unexplained(command, result),
            "the log shows what it printed",
        )
    return fitted(
        Failure(
            reason=reason,
            step=step,
            message=message,
            hint=hint,
            command=command.argv,
            exit_code=result.exit_code,
            diagnostics=diagnostics,
        )
    )


def _find(lines: Sequence[LogLine], places: Places) -> list[Found]:
    """What the tools said, the cause first: a tool's own reason goes before a general one, then the order of the log."""
    found = [one for parser in PARSERS for one in parser.parse(lines, places)]
    if all(one.consequence or one.reason is FailureReason.COMMAND_FAILED for one in found):
        found += [one for parser in LAST for one in parser.parse(lines, places)]
    return merged(found or list(Said().parse(lines, places)))


def _silent(command: PlannedCommand, result: CommandResult) -> Found:
    """Nothing was printed: where the command is written is all that can be shown."""
    return Found(
        reason=FailureReason.COMMAND_FAILED,
        needle=json.dumps(_words(command))[1:-1],
        endings=_WITH_COMMANDS,
        diagnostic=Diagnostic(
            tool="sh",
            severity="error",
            message=f"{_unexplained(command, result)}, and it printed nothing",
            hint="run it on your side, or let it say what it does",
        ),
    )


def _words(command: PlannedCommand) -> str:
    return command.argv[2] if command.argv[:2] == ("sh", "-c") and len(command.argv) > 2 else shlex.join(command.argv)


def _from_the_project(diagnostic: Diagnostic) -> Diagnostic:
    """Where a sandbox keeps the project is its own affair; people know paths from the project's root."""
    return diagnostic.but(message=_INSIDE.sub("", diagnostic.message))


def _sentence(found: Sequence[Found]) -> str:
    first = found[0].diagnostic
    more = len(found) - 1
    also = f" (and {more} more {'error' if more == 1 else 'errors'})" if more else ""
    place = "" if first.file and first.line is None and first.message.startswith(first.file) else _place(first)
    return f"{place}{cut(first.message, 600)}{also}"


def _place(diagnostic: Diagnostic) -> str:
    if diagnostic.file is None:
        return ""
    numbers = [str(n) for n in (diagnostic.line, diagnostic.column) if n is not None]
    return ":".join((diagnostic.file, *numbers)) + ": "


def _heap_hint(command: PlannedCommand) -> str:
    """Node sets its heap's limit by itself, below the sandbox's: which of the two was met decides what to raise."""
    memory = command.limits.memory_bytes // 2**20
    return (
        f"Node's own heap was full, not the sandbox's memory of {memory:,} MiB: set "
        f'NODE_OPTIONS = "--max-old-space-size={memory * 3 // 4}" below [env] in headrace.toml'
    )


def _unexplained(command: PlannedCommand, result: CommandResult) -> str:
    return f"{cut(_words(command), 300)}: {how_it_ended(result)}"
