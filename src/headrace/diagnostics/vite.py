"""Vite: rolldown's report (8 and later), rollup's and esbuild's (up to 7), plugins, and its configuration."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.environment import missing_variables, variable_hint
from headrace.diagnostics.imports import unresolved
from headrace.diagnostics.manifest_lines import project_file
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

#: How a build of Vite says that it failed. Without it nothing in the log is Vite's error.
_FAILED = re.compile(r"^(error during build:|failed to load config from |✘ \[ERROR\] )")
#: esbuild's own command prints reports as well; these lines are Vite's alone.
_OWN = re.compile(r"^(error during build:|failed to load config from )")
_LONGEST = 120
_STACK = re.compile(r"^\s+at .*(?:\(|:\d+:\d+)")

_ROLLDOWN = re.compile(
    r"^(?:\S+ \(\d+:\d+\) )?\[{1,2}(?P<code>[A-Z_]{4,}|builtin:[\w:-]+|plugin [^\]]+)\] ?(?P<text>.*)"
)
_FRAME = re.compile(r"^\s*╭─+\[ (?P<file>.+?):(?P<line>\d+):(?P<column>\d+) \]")
_PLACE = re.compile(r"^(?P<file>/?[^\s:()]+\.\w+)(?::(?P<line>\d+|undefined)(?::(?P<column>\d+|NaN))?)?$")
_UNRESOLVED = re.compile(
    r"(?:Could not resolve ['\"](?P<a>[^'\"]+)['\"] (?:in|from) ['\"]?(?P<a_from>[^'\"]+?)['\"]?$)"
    r"|(?:(?:Rollup|Rolldown) failed to resolve import \"(?P<b>[^\"]+)\" from \"(?P<b_from>[^\"]+)\")"
    r"|(?:Failed to resolve (?P<c>\S+) from (?P<c_from>\S+))"
    r"|(?:Cannot find (?:package|module) '(?P<d>[^']+)' imported from (?P<d_from>\S+))"
    r"|(?:Could not load (?P<f>[^\s:]+) \(imported by (?P<f_from>[^)]+)\): ENOENT)"
    r"|(?:ENOENT: no such file or directory, open '(?P<e>[^']+)')",
    re.MULTILINE,
)
_ENTRY = re.compile(r"(?:Cannot|Could not) resolve entry module [\"']?(?P<entry>[^\"'\s]+?)[\"']?\.?$", re.MULTILINE)
#: A place inside a sentence. It begins where a word begins, so that a long line is read once.
_AT = re.compile(r"(?<![\w@./-])(?P<file>[\w@./-]{1,400})[: ]\(?(?P<line>\d+):(?P<column>\d+)\)?")
_AT_START = re.compile(r"^[\w@./-]{1,400}(?::\d+:\d+| \(\d+:\d+\)):? (?P<text>\S.*)")
_PREFIXES = re.compile(
    r"^(?:(?:RolldownError|SyntaxError|Error|ERROR|CssSyntaxError)(?: \[[\w-]+\])?: |✘ \[ERROR\] "
    r"|\[(?:vite|postcss|vue/compiler-sfc|vite:[\w-]+)\]:? )+"
)
_CONFIG_FILE = re.compile(r"vite\.config\.\w+")
_SYNTAX = re.compile(
    r"SyntaxError|PARSE_ERROR|svelte:compile|attempted to close|Transform failed|Parse error|Unexpected |Expected |Unclosed |Invalid end tag|closing tag|vite-json",
    re.I,
)


#: SvelteKit: what only the server may import, and variables that are modules' exports.
_GUARDED = re.compile(
    r"(?:\(imported by (?P<importer>[^)]{1,300})\): )?Cannot import (?P<module>\S{1,200}) into code that runs in the browser"
)
_UNSET = re.compile(r"\"(?P<name>\w+)\" is not exported by \"(?:virtual:env/|\0?\$env/|[^\"]*\$env/)static/")
_SHOWN = re.compile(r"^\s*(?P<line>\d+) │ ")
_NOT_TEXT = "did not contain valid UTF-8"
_UNREAD = re.compile(r"Could not load (?P<file>\S+)")


class Vite:
    tool: ClassVar[str] = "vite"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        start = next((at for at, line in enumerate(lines) if _FAILED.match(line.text)), None)
        if start is None or not any(_OWN.match(line.text) for line in lines[start : start + 3 * _LONGEST]):
            return ()
        in_config = any(line.text.startswith("failed to load config from ") for line in lines[start : start + _LONGEST])
        # The report stands before the first stack frame; what plugins print of a cause comes before it as well.
        report = [line for line in lines[start : start + _LONGEST] if not line.text.startswith("error during build:")]
        end = next((at for at, line in enumerate(report) if _STACK.match(line.text)), len(report))
        blocks = _blocks(report[: max(end, 1)])
        found = [one for block in blocks if (one := _read(block, places, in_config=in_config))]
        if not found and (one := _read(report[: max(end, 1)], places, in_config=in_config)):
            found = [one]
        return found


def _blocks(report: Sequence[LogLine]) -> list[Sequence[LogLine]]:
    """The report cut at each line that begins an error."""
    starts = [at for at, line in enumerate(report) if _ROLLDOWN.match(line.text)]
    if not starts:
        return [report]
    return [report[at:after] for at, after in zip(starts, [*starts[1:], len(report)], strict=True)]


def _read(block: Sequence[LogLine], places: Places, *, in_config: bool) -> Found | None:
    block = [line for line in block if line.text.strip()]
    head = next((line for line in block if not _is_preamble(line.text)), None)
    if head is None:
        return None
    rolldown = _ROLLDOWN.match(head.text)
    code = rolldown["code"].removeprefix("plugin ") if rolldown else None
    message = _message(block)
    text = "\n".join(line.text for line in block)
    file, line_number, column = _place(block, places)
    line_number, column = _second_declaration(block) or (line_number, column)
    if in_config and file is None:
        file = _config_file(text, places)
    placed = file
    reason, hint, file, needle = _meaning(text, message, code, file, places, in_config=in_config)
    needle, endings = (needle, ()) if file else _search(text, code)
    return Found(
        reason=reason,
        needle=needle,
        endings=endings,
        diagnostic=Diagnostic(
            tool="vite",
            severity="error",
            message=message,
            code=code,
            file=file,
            line=line_number if file and file == placed else None,
            column=column if file and file == placed else None,
            excerpt=_excerpt(block),
            hint=hint,
            log_seq=head.seq,
        ),
    )


def _search(text: str, code: str | None) -> tuple[str | None, tuple[str, ...]]:
    """What to look for, and in which files, when the report names none: a style sheet's line, or JSON that is broken."""
    if code and "json" in code:
        return None, (".json",)
    shown = re.search(r"^\d+\s*\|  ?(?P<source>.*\S.*)\n\s*\|\s*\^", text, re.MULTILINE)
    if shown and "css" in text:
        return shown["source"].strip(), (".css", ".scss", ".less")
    return None, ()


def _is_preamble(text: str) -> bool:
    return (
        re.match(r"^(Error: )?Build failed with \d+ errors?:|^failed to load config|^error during build", text)
        is not None
    )


def _message(block: Sequence[LogLine]) -> str:
    """What is wrong, without the place and without the names of classes and plugins around it."""
    said = _sentences(block)
    cause = next((after for before, after in pairwise(said) if before == "Caused by:"), None)
    named = next((text for text in said if re.search(r"SyntaxError|Error:|ERROR:", text)), None)
    best = _PREFIXES.sub("", cause or named or (said[0] if said else ""))
    if located := _AT_START.match(best):
        best = located["text"]
    return _PREFIXES.sub("", best).strip() or "the build failed"


def _sentences(block: Sequence[LogLine]) -> list[str]:
    """The lines of prose before the code that is shown."""
    said: list[str] = []
    for line in block:
        text = line.text.strip()
        if said and (_is_code(line.text) or text.startswith("This is most likely")):
            break
        if _is_preamble(text) or _PLACE.match(text) or text.startswith("file: "):
            continue
        match = _ROLLDOWN.match(text)
        text = match["text"].strip() if match else text
        if text and not _PLACE.match(text):
            said.append(text)
    return said


def _place(block: Sequence[LogLine], places: Places) -> tuple[str | None, int | None, int | None]:
    patterns = (_FRAME, _PLACE, _AT)
    for line in block:
        text = line.text.strip()
        text = re.sub(r"^\[plugin [^\]]+\] ", "", text).removeprefix("file: ")
        for pattern in patterns:
            match = pattern.search(text) if pattern is not _PLACE else pattern.match(text.rstrip(":"))
            if match and (file := places.find(match["file"])):
                number, column = match["line"], match["column"]
                return file, _number(number), _number(column)
    return None, None, None


def _second_declaration(block: Sequence[LogLine]) -> tuple[int, int | None] | None:
    """Where rolldown says that a name may not stand again. It heads its report with the first declaration."""
    at = next((at for at, line in enumerate(block) if "It can not be redeclared here" in line.text), None)
    for number in range(at or 0, 0, -1):
        if shown := _SHOWN.match(block[number].text):
            marked = block[number + 1].text.find("─", shown.end())
            return int(shown["line"]), marked - shown.end() + 1 if marked > 0 else None
    return None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() and text != "0" else None


def _its_configuration(places: Places) -> str | None:
    return project_file(places, *(f"vite.config.{ending}" for ending in ("ts", "js", "mts", "mjs", "cts", "cjs")))


def _config_file(text: str, places: Places) -> str | None:
    return next((path for name in _CONFIG_FILE.findall(text) if (path := places.find(name))), None)


_Meaning = tuple[FailureReason, str | None, str | None, str | None]


def _meaning(
    text: str, message: str, code: str | None, file: str | None, places: Places, *, in_config: bool
) -> _Meaning:
    """Reason, hint, file, and the text to look for in the file."""
    if in_config and (names := missing_variables(message)):
        return FailureReason.MISSING_ENV, variable_hint(names), file, names[0]
    if entry := _ENTRY.search(text):
        hint = f"add {entry['entry']} at the project's root, or name another entry in Vite's configuration"
        return FailureReason.CONFIG_ERROR, hint, file, None
    if match := _UNRESOLVED.search(text):
        given = {name: value for name, value in match.groupdict().items() if value}
        module = next(value for name, value in given.items() if not name.endswith("_from"))
        importer = next((value for name, value in given.items() if name.endswith("_from")), "")
        file = file or places.find(importer)
        needle = module.rpartition("/")[2] if module.startswith("/app/") else module
        return *unresolved(module, file, places), file, needle
    if guarded := _GUARDED.search(text):
        hint = f"{guarded['module']} is for the server alone: use it in a file whose name has .server, or in +page.server.js"
        return FailureReason.SYNTAX_ERROR, hint, file or places.find(guarded["importer"] or ""), guarded["module"]
    if unset := _UNSET.search(text):
        return FailureReason.MISSING_ENV, variable_hint([unset["name"]]), file, unset["name"]
    if code == "MISSING_EXPORT" or "is not exported by" in message:
        return FailureReason.SYNTAX_ERROR, "import a name that the module exports", file, None
    if code == "BUNDLER_INITIALIZE_ERROR":
        value = re.search(r"'([^']+)'", message)
        hint = "correct the option in Vite's configuration"
        return FailureReason.CONFIG_ERROR, hint, file or _its_configuration(places), value[1] if value else None
    if in_config:
        name = re.search(r"(\w+) is not defined", message)
        return FailureReason.CONFIG_ERROR, "correct Vite's configuration", file, name[1] if name else message
    if _NOT_TEXT in text and (unread := _UNREAD.search(message)):
        named = places.find(unread["file"]) or file
        return FailureReason.SYNTAX_ERROR, f"save {named or 'the file'} as UTF-8", named, None
    if _SYNTAX.search(text):
        return FailureReason.SYNTAX_ERROR, None, file, None
    return FailureReason.COMMAND_FAILED, None, file, None


def _is_code(text: str) -> bool:
    return re.match(r"^\s*(\d+\s*[│|:]|[│|╭╰╵▲]|\^|─)", text) is not None


def _excerpt(block: Sequence[LogLine]) -> str | None:
    rows = [line.text for line in block if _is_code(line.text) and not line.text.lstrip().startswith(("╭", "───"))]
    rows = [row for row in rows if row.strip(" │|^")]
    return "\n".join(rows[:8]) or None
