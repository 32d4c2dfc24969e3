"""Prettier, where `prettier --check` is a part of the build: files that it would write otherwise, and those it can't read."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

_BEGIN = "Checking formatting..."
_OTHERWISE = re.compile(r"^\[warn\] (?P<file>\S.{0,400})$")
_UNREAD = re.compile(
    r"^\[error\] (?P<file>\S[^:]{0,400}): SyntaxError: (?P<text>.*) \((?P<line>\d+):(?P<column>\d+)\)$"
)
_CODE = re.compile(r"^\[error\] (?P<code>[> ] +\d* \|.*)")
_MOST = 50


class Prettier:
    tool: ClassVar[str] = "prettier"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        start = next((at for at, line in enumerate(lines) if line.text == _BEGIN), None)
        if start is None:
            return ()
        unread, otherwise = [], []
        for at in range(start + 1, len(lines)):
            if match := _UNREAD.match(lines[at].text):
                unread.append(_unread(match, lines, at, places))
            elif (match := _OTHERWISE.match(lines[at].text)) and (file := places.find(match["file"])):
                otherwise.append(_otherwise(file, lines[at]))
        # A file that can't be read is wrong; one in another style only looks so.
        return [*unread, *otherwise][:_MOST]


def _unread(match: re.Match[str], lines: Sequence[LogLine], at: int, places: Places) -> Found:
    file = places.find(match["file"])
    rows = [code["code"] for line in lines[at + 1 : at + 9] if (code := _CODE.match(line.text))]
    return Found(
        reason=FailureReason.SYNTAX_ERROR,
        diagnostic=Diagnostic(
            tool="prettier",
            severity="error",
            message=match["text"],
            file=file,
            line=int(match["line"]) if file else None,
            column=int(match["column"]) if file else None,
            excerpt="\n".join(rows) or None,
            log_seq=lines[at].seq,
        ),
    )


def _otherwise(file: str, line: LogLine) -> Found:
    return Found(
        reason=FailureReason.LINT_ERROR,
        diagnostic=Diagnostic(
            tool="prettier",
            severity="error",
            message="the file is not formatted as Prettier would write it",
            file=file,
            hint=f"run `npx prettier --write {file}` and commit what it changes",
            log_seq=line.seq,
        ),
    )
