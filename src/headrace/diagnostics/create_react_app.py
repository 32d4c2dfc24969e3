"""react-scripts and what wraps it: `Failed to compile.`, then webpack's errors without their heads, or ESLint's."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics import codeframe
from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found
from headrace.model.diagnostic import Diagnostic, FailureReason

_FAILED = re.compile(r"^Failed to compile\.$")
_CI = re.compile(r"^Treating warnings as errors because process\.env\.CI = true")
_LINT = re.compile(r"^\s+Line (?P<line>\d+):(?:(?P<column>\d+):)?\s+(?P<text>\S.*?)(?:\s{2,100}(?P<rule>[@\w/-]+))?$")
_FILE = re.compile(r"^(?:\[eslint\] ?)?(?P<file>\.?/?[^\s:]+\.[jt]sx?)$")
_IN_FILE = re.compile(
    r"^(?:Error in|TS\d+ in|\w*Error in) (?P<file>[^\s:]+)(?::(?P<line>\d+):(?P<column>\d+))?$|^(?P<file2>\.?/?[^\s:]+\.\w+)(?::(?P<line2>\d+):(?P<column2>\d+))?$"
)
_BABEL = re.compile(r"(?P<class>\w*Error): (?P<file>/[^\s:]+): (?P<text>.*?)\s*\((?P<line>\d+):(?P<column>\d+)\)")
_TYPES = re.compile(r"^(?P<code>TS\d+): (?P<text>.*)")
_CI_HINT = "CI=true makes react-scripts treat warnings as errors: correct the warning, or build with `CI=false react-scripts build`"


class CreateReactApp:
    tool: ClassVar[str] = "react-scripts"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        start = next((at for at, line in enumerate(lines) if _FAILED.match(line.text)), None)
        if start is None or any("next build" in line.text or "Next.js" in line.text for line in lines[:start]):
            return ()
        strict = any(_CI.match(line.text) for line in lines[max(0, start - 12) : start])
        report = [line for line in lines[start + 1 : start + 200] if line.text.strip()]
        if any("[eslint]" in line.text for line in report[:3]):
            return _linted(report, places, strict=strict)
        return [_compiled(report, places)] if report else ()


def _linted(report: Sequence[LogLine], places: Places, *, strict: bool) -> Sequence[Found]:
    rows: list[Found] = []
    file: str | None = None
    for line in report:
        if named := _FILE.match(line.text.strip()):
            file = places.find(named["file"])
        elif row := _LINT.match(line.text):
            syntax = "Parsing error" in row["text"]
            rows.append(
                Found(
                    reason=FailureReason.SYNTAX_ERROR if syntax else FailureReason.LINT_ERROR,
                    diagnostic=Diagnostic(
                        tool="eslint",
                        severity="warning" if strict else "error",
                        message=row["text"],
                        code=row["rule"],
                        file=file,
                        line=int(row["line"]) if file else None,
                        column=int(row["column"]) if file and row["column"] else None,
                        hint=_CI_HINT
                        if strict
                        else "correct it, or set the rule to a warning in ESLint's configuration",
                        log_seq=line.seq,
                    ),
                )
            )
    return rows[:40]


def _compiled(report: Sequence[LogLine], places: Places) -> Found:
    texts = [line.text.strip() for line in report[:24]]
    whole = "\n".join(texts)
    file, number, column = _place(texts, whole, places)
    said = [
        text
        for text in texts
        if not codeframe.is_code(text) and not _IN_FILE.match(text) and not text.startswith("Module build failed (from")
    ]
    message = said[0] if said else "the build failed"
    coded = next((match for text in texts if (match := _TYPES.match(text))), None)
    if babel := _BABEL.search(whole):
        message = babel["text"]
    excerpt = codeframe.frame(report, 0, 24)
    return found(
        "typescript" if coded else "webpack",
        coded["text"] if coded else re.sub(r"^Module not found: Error: ", "Module not found: ", message),
        places,
        report[0].seq,
        file=file,
        line=number or codeframe.marked(excerpt),
        column=column,
        code=coded["code"] if coded else None,
        excerpt=excerpt,
        context=whole[:3000],
        otherwise=FailureReason.TYPE_ERROR if coded else FailureReason.COMMAND_FAILED,
    )


def _place(texts: Sequence[str], whole: str, places: Places) -> tuple[str | None, int | None, int | None]:
    if (babel := _BABEL.search(whole)) and (file := places.find(babel["file"])):
        # Babel counts columns from 0.
        return file, int(babel["line"]), int(babel["column"]) + 1
    for text in texts:
        if (match := _IN_FILE.match(text)) and (file := places.find(match["file"] or match["file2"])):
            line, column = match["line"] or match["line2"], match["column"] or match["column2"]
            return file, int(line) if line else None, int(column) if column else None
    return None, None, None
