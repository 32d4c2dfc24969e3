"""Farm: an import that can't be resolved. What plugins throw is read by the parsers of their tools."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found

_UNRESOLVED = re.compile(
    r"^\[ Farm \] (?:Error: )?(?:Failed to build: )?(?:Error: )?Can not resolve `(?P<module>[^`]{1,300})` from (?P<file>\S+?)\.?$"
)


class Farm:
    tool: ClassVar[str] = "farm"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        for line in lines:
            if match := _UNRESOLVED.match(line.text):
                message = f"Can't resolve '{match['module']}' in '{match['file']}'"
                return [found("farm", message, places, line.seq, file=places.find(match["file"]))]
        return ()
