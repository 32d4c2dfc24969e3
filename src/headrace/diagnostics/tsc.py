"""TypeScript's compiler, and what prints like it: tsc 4 to 7, vue-tsc. Plain (`file(1,2): error`) and pretty (`file:1:2 - error`)."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.imports import is_built_in, unresolved
from headrace.diagnostics.installing import add_command, package_of
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

_PLAIN = re.compile(r"^(?P<file>[^\s(][^(]*)\((?P<line>\d+),(?P<column>\d+)\): error (?P<code>TS\d+): (?P<text>.*)")
_PRETTY = re.compile(r"^(?P<file>\S[^:]*):(?P<line>\d+):(?P<column>\d+) - error (?P<code>TS\d+): (?P<text>.*)")
_NO_PLACE = re.compile(r"^error (?P<code>TS\d+): (?P<text>.*)")
_CODE_LINE = re.compile(r"^\d+ ")
_UNTYPED = re.compile(r"Could not find a declaration file for module '([^']+)'")
_MODULE = re.compile(r"Cannot find (?:module or type declarations for side-effect import of |module )'([^']+)'")

#: What a configuration names and is not there: a project that is referred to, or a file with types.
_ABSENT = re.compile(
    r"(?:File '|Cannot read file '|Cannot find type definition file for ')(?P<name>[^']+)'(?: not found|\.)"
)

_ABOUT = re.compile(r"typeof import\(['\"](?P<path>[^'\"]{1,400})['\"]\)")
_SCRIPTS = (".tsx", ".ts", ".jsx", ".js")

#: Codes of the compiler's and the project's configuration.
_CONFIG = range(5000, 6120)

_MOST = 500

#: Names that are not used: true errors, but never the reason for another one.
_UNUSED = frozenset({"TS6133", "TS6192", "TS6196", "TS6198"})


class Tsc:
    tool: ClassVar[str] = "tsc"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        found: list[Found] = []
        for at, line in enumerate(lines):
            if len(found) >= _MOST:
                break
            match = _PLAIN.match(line.text) or _PRETTY.match(line.text) or _NO_PLACE.match(line.text)
            if match is not None:
                found.append(_found(match, lines, at, places))
        # An unresolved import explains the errors around it, and an unused name explains nothing.
        return sorted(found, key=_rank)


def _rank(found: Found) -> int:
    if found.reason in (FailureReason.MISSING_DEPENDENCY, FailureReason.CASE_MISMATCH):
        return 0
    return 2 if found.diagnostic.code in _UNUSED else 1


def _found(match: re.Match[str], lines: Sequence[LogLine], at: int, places: Places) -> Found:
    given = match.groupdict()
    code, file = given["code"], places.find(given["file"]) if given.get("file") else None
    placed = file is not None
    if file is None and (about := _ABOUT.search(given["text"])):
        # Frameworks check modules in files that they make; the message has the module's path.
        file = next((path for ending in _SCRIPTS if (path := places.find(about["path"] + ending))), None)
    module = _MODULE.search(given["text"])
    reason, hint = _reason(code), None
    if reason is FailureReason.SYNTAX_ERROR and (file or "").endswith(".json"):
        reason = FailureReason.CONFIG_ERROR
    if module and code in ("TS2307", "TS2882") and is_built_in(module[1]):
        reason = FailureReason.MISSING_DEPENDENCY
        hint = f"the types of Node are not there: `{add_command('@types/node', places, development=True)}`"
    elif code == "TS2688" and (typed := _ABSENT.search(given["text"])):
        reason = FailureReason.MISSING_DEPENDENCY
        package = f"@types/{typed['name']}" if typed["name"].isidentifier() else package_of(typed["name"])
        hint = (
            f"`{add_command(package, places, development=True)}`, or take it out of types in {file or 'tsconfig.json'}"
        )
    elif module and code in ("TS2307", "TS2882"):
        reason, hint = unresolved(module[1], file, places)
    elif untyped := _UNTYPED.search(given["text"]):
        package = package_of(untyped[1])
        types = f"@types/{package.removeprefix('@').replace('/', '__')}"
        hint = f"`{add_command(types, places, development=True)}` if there are types, or declare the module in a .d.ts file"
    elif code in ("TS1149", "TS1261"):
        reason, hint = FailureReason.CASE_MISMATCH, "write the import as the file is named, in every place"
    absent = _ABSENT.search(given["text"]) if file is None else None
    return Found(
        reason=reason,
        needle=absent["name"].rpartition("/")[2] if absent else None,
        endings=(".json",) if absent else (),
        diagnostic=Diagnostic(
            tool="tsc",
            severity="error",
            message=given["text"],
            code=code,
            file=file,
            line=int(given["line"]) if placed and given.get("line") else None,
            column=int(given["column"]) if placed and given.get("column") else None,
            excerpt=_excerpt(lines, at),
            hint=hint,
            log_seq=lines[at].seq,
        ),
    )


def _reason(code: str) -> FailureReason:
    number = int(code.removeprefix("TS"))
    if number < 2000 or number in (17002, 17008, 17014):
        return FailureReason.SYNTAX_ERROR
    if number in _CONFIG or number == 18003:
        return FailureReason.CONFIG_ERROR
    return FailureReason.TYPE_ERROR


def _excerpt(lines: Sequence[LogLine], at: int) -> str | None:
    """The line of source and the marker that the pretty form prints below the message."""
    below = [line.text for line in lines[at + 1 : at + 5]]
    start = next((n for n, text in enumerate(below) if _CODE_LINE.match(text)), None)
    if start is None:
        return None
    return "\n".join(text for text in below[start : start + 2] if text.strip())
