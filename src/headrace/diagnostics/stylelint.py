"""Stylelint's usual report: a file, then `4:3  ✖  what is wrong  rule` below it."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

_PROBLEM = re.compile(
    r"^\s+(?P<line>\d+):(?P<column>\d+)\s+[✖×]\s+(?P<text>\S.{0,500}?)(?:\s\s+(?P<rule>[\w/@-]+))?\s*$"  # noqa: RUF001
)
_MOST = 50


class Stylelint:
    tool: ClassVar[str] = "stylelint"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        found: list[Found] = []
        file = None
        for line in lines:
            if match := _PROBLEM.match(line.text):
                if file and len(found) < _MOST:
                    found.append(_found(match, file, line))
            elif not line.text.startswith(" "):
                file = places.find(line.text) if line.text.strip() else None
        return found


def _found(match: re.Match[str], file: str, line: LogLine) -> Found:
    broken = match["rule"] == "CssSyntaxError" or "CssSyntaxError" in match["text"]
    return Found(
        reason=FailureReason.SYNTAX_ERROR if broken else FailureReason.LINT_ERROR,
        diagnostic=Diagnostic(
            tool="stylelint",
            severity="error",
            message=match["text"],
            code=match["rule"],
            file=file,
            line=int(match["line"]),
            column=int(match["column"]),
            log_seq=line.seq,
        ),
    )
