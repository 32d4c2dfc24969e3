"""The last word of a program that nobody here knows: its line `ERROR: …`, and the file of the version that it names."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

_SAYS = re.compile(
    r"^[^\w\s]{0,4}\s{0,4}[\[(]?(?:ERROR|Error|error|FATAL|Fatal|fatal)[\])]?\s?(?:error)?: ?(?P<text>\S.*)"
)
_NAMED = re.compile(r"(?<![\w@./-])(?P<file>[\w@./-]{1,300}\.\w{1,10})(?:[:(](?P<line>\d+)(?:[:,](?P<column>\d+))?)?")
#: What ends a program stands near the end of its log.
_LAST = 40


class Said:
    tool: ClassVar[str] = "log"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        for line in reversed(lines[-_LAST:]):
            if match := _SAYS.match(line.text):
                return [_found(match["text"].strip(), line, places)]
        return ()


def _found(text: str, line: LogLine, places: Places) -> Found:
    named = next((m for m in _NAMED.finditer(text) if places.find(m["file"])), None)
    return Found(
        reason=FailureReason.COMMAND_FAILED,
        diagnostic=Diagnostic(
            tool="log",
            severity="error",
            message=text,
            file=places.find(named["file"]) if named else None,
            line=int(named["line"]) if named and named["line"] else None,
            column=int(named["column"]) if named and named["column"] else None,
            log_seq=line.seq,
        ),
    )
