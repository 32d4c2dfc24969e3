"""An uncaught error of a Node program: the stack trace, and where in the project it came from."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.environment import missing_variables, variable_hint
from headrace.diagnostics.imports import unresolved
from headrace.diagnostics.installing import missing_program_hint
from headrace.diagnostics.manifest_lines import manifest
from headrace.diagnostics.network import host_in
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

_ERROR = re.compile(
    r"^(?:Uncaught )?\[?(?P<class>[A-Z]\w*(?:Error|Exception)|Error)(?: \[(?P<code>\w+)\])?: (?P<text>.*?)(?:\] \{)?$"
)
_SOURCE = re.compile(r"^(?P<file>(?:file://)?/[^:\s][^:]*|[\w@./-]+\.\w+):(?P<line>\d+)$")
_FRAME = re.compile(r"^\s+at (?:.* \()?(?P<file>(?:file://)?/[^():]+):(?P<line>\d+):(?P<column>\d+)\)?")
_IMPORT = re.compile(r"Cannot find (?:module|package) '(?P<module>[^']+)'(?: imported from (?P<importer>\S+))?")
_NO_REQUIRE = re.compile(r"^(?:require|module|exports|__dirname|__filename) is not defined in ES module scope")
_SPAWN = re.compile(r"^spawn (?P<name>[\w@.+-]+) ENOENT$")
_OPTION = re.compile(r"^[Uu]nknown (?:option|argument):? [`'\"]?(?P<name>--?[\w-]+)")
_CODE = re.compile(r"^\s*code: '(?P<code>\w+)'")
#: Codes of connections that could not be had.
_NO_CONNECTION = frozenset(
    {"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "UND_ERR_CONNECT_TIMEOUT"}
)
#: Node ends with exit code 13 when nothing is left that could settle what the program waits for.
_WAITING = re.compile(r"^Warning: Detected unsettled top-level await at (?P<file>\S+):(?P<line>\d+)$")
_HEAP = re.compile(r"JavaScript heap out of memory|Allocation failed - ")


class Node:
    tool: ClassVar[str] = "node"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        heap = next((line for line in lines if _HEAP.search(line.text)), None)
        if heap:
            return [_heap(heap)]
        at = next((at for at in range(len(lines) - 1, -1, -1) if _uncaught(lines, at)), None)
        if at is not None:
            return [_found(lines, at, places)]
        waiting = next((line for line in lines if _WAITING.match(line.text)), None)
        return [_waited(waiting, places)] if waiting else ()


def _uncaught(lines: Sequence[LogLine], at: int) -> bool:
    """An error with a stack below it, or one that Node itself prints."""
    if not _ERROR.match(lines[at].text):
        return False
    return any(
        _FRAME.match(line.text) or re.match(r"^\s+at |^\s+\[cause\]", line.text) for line in lines[at + 1 : at + 12]
    )


def _found(lines: Sequence[LogLine], at: int, places: Places) -> Found:
    match = _ERROR.match(lines[at].text)
    assert match is not None  # noqa: S101 - the caller found it
    below = [line.text for line in lines[at + 1 : at + 40]]
    file, line, column = _place(lines, at, below, places)
    code = match["code"] or next((found["code"] for text in below if (found := _CODE.match(text))), None)
    text = "\n".join((match["text"], *below))
    reason, hint, message, needle = FailureReason.COMMAND_FAILED, None, match["text"], None
    if program := _SPAWN.search(match["text"]):
        reason, message = FailureReason.MISSING_DEPENDENCY, f"the program {program['name']} is not there"
        hint, needle = missing_program_hint(program["name"], places), program["name"]
        file, line, column = (file, line, column) if file else (manifest(places), None, None)
    elif option := _OPTION.search(match["text"]):
        reason, needle = FailureReason.CONFIG_ERROR, option["name"]
        hint = "correct the option in the command; the program's own --help lists what it takes"
        file, line, column = (file, line, column) if file else (manifest(places), None, None)
    elif imported := _IMPORT.search(match["text"]):
        importer = places.find(imported["importer"]) if imported["importer"] else file
        reason, hint = unresolved(_relative(imported["module"]), importer, places)
        file, line, column = _importer(importer, file, line, column)
        if file is None and not imported["importer"] and imported["module"].startswith("/"):
            # Nothing asked for it but the command itself.
            file = manifest(places)
        needle = imported["module"].rpartition("/")[2] if imported["module"].startswith("/") else imported["module"]
    elif _NO_REQUIRE.match(match["text"]):
        reason = FailureReason.SYNTAX_ERROR
        hint = 'package.json says "type": "module": use import, or give the file the ending .cjs'
    elif names := missing_variables(match["text"]):
        reason, hint, needle = FailureReason.MISSING_ENV, variable_hint(names), names[0]
    elif match["class"] == "SyntaxError" or "JSON" in match["text"]:
        reason = FailureReason.SYNTAX_ERROR
    elif code in _NO_CONNECTION:
        host = _hostname(text) or host_in(text) or "a host"
        reason, message = FailureReason.NETWORK_DENIED, f"{match['text']}: {host} can't be reached from the build"
        hint = (
            'a build has no network by default; set network = "internet" below [build] in headrace.toml if it needs one'
        )
    elif code == "ENOENT":
        hint = "the file is not there: is it committed, written in the same letters, and made by an earlier command?"
    elif code == "ENOSPC":
        reason, hint = FailureReason.DISK_FULL, "the sandbox's disk is full: raise its limit"
    elif match["class"] != "Error":
        message = f"{match['class']}: {match['text']}"
    return Found(
        reason=reason,
        diagnostic=Diagnostic(
            tool="node",
            severity="error",
            message=message,
            code=code,
            file=file,
            line=line,
            column=column,
            excerpt=_excerpt(lines, at),
            hint=hint,
            log_seq=lines[at].seq,
        ),
        needle=needle,
    )


def _waited(line: LogLine, places: Places) -> Found:
    match = _WAITING.match(line.text)
    assert match is not None  # noqa: S101 - the caller found it
    file = places.find(match["file"])
    return Found(
        reason=FailureReason.COMMAND_FAILED,
        diagnostic=Diagnostic(
            tool="node",
            severity="error",
            message="the program ended while it still waited for something at this line",
            code="ERR_UNSETTLED_TOP_LEVEL_AWAIT",
            file=file,
            line=int(match["line"]) if file else None,
            hint="does it ask a question? Nobody answers in a build: give the answer as an option or a variable",
            log_seq=line.seq,
        ),
    )


def _heap(line: LogLine) -> Found:
    return Found(
        reason=FailureReason.OUT_OF_MEMORY,
        diagnostic=Diagnostic(
            tool="node",
            severity="error",
            message="JavaScript heap out of memory",
            hint="set NODE_OPTIONS=--max-old-space-size=<MiB> below [env] in headrace.toml, and give the build as much memory",
            log_seq=line.seq,
        ),
    )


def _place(
    lines: Sequence[LogLine], at: int, below: Sequence[str], places: Places
) -> tuple[str | None, int | None, int | None]:
    """The first frame that is a file of the version; else the line that Node prints above the error."""
    for text in below:
        frame = _FRAME.match(text)
        if frame and (file := places.find(frame["file"])):
            return file, int(frame["line"]), int(frame["column"])
    for number in range(at - 1, max(-1, at - 8), -1):
        source = _SOURCE.match(lines[number].text)
        if source and (file := places.find(source["file"])):
            marker = next((line.text for line in lines[number + 1 : at] if re.fullmatch(r"\s*\^+\s*", line.text)), "")
            return file, int(source["line"]), marker.index("^") + 1 if marker else None
    return None, None, None


def _importer(
    importer: str | None, file: str | None, line: int | None, column: int | None
) -> tuple[str | None, int | None, int | None]:
    """The file with the import. A frame's line belongs to it only when the frame is in the same file."""
    return (file, line, column) if importer is None or importer == file else (importer, None, None)


def _relative(module: str) -> str:
    """Node names a missing file by its whole path."""
    return f"./{module.rpartition('/')[2]}" if module.startswith("/") else module


def _hostname(text: str) -> str | None:
    match = re.search(r"hostname: '([^']+)'", text)
    return match[1] if match else None


def _excerpt(lines: Sequence[LogLine], at: int) -> str | None:
    start = next((n for n in range(at - 1, max(-1, at - 8), -1) if _SOURCE.match(lines[n].text)), at)
    rows = [line.text for line in lines[start : at + 4] if line.text.strip()]
    return "\n".join(rows[:8]) or None
