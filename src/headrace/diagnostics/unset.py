"""A program that says which variable it misses, and ends by itself."""

from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.environment import missing_variables, variable_hint
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

#: What ends a program stands near the end of its log.
_LAST = 40
_SOURCES = (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".tsx", ".jsx")


class Unset:
    tool: ClassVar[str] = "environment"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        del places
        said = ((line, missing_variables(line.text)) for line in lines[-_LAST:])
        return [_found(line, names) for line, names in said if names][-1:]


def _found(line: LogLine, names: list[str]) -> Found:
    return Found(
        reason=FailureReason.MISSING_ENV,
        needle=names[0],
        endings=_SOURCES,
        diagnostic=Diagnostic(
            tool="environment",
            severity="error",
            message=line.text.strip(),
            hint=variable_hint(names),
            log_seq=line.seq,
        ),
    )
