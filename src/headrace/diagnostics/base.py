"""The contract of diagnostic parsers: lines of a log in, errors with file and line out."""

from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar, Protocol

from headrace.model.diagnostic import Diagnostic, LogLine

__all__ = ["LogLine", "Parser"]


class Parser(Protocol):
    """Finds one tool's errors. Never raises: a line that it does not understand is not its own."""

    tool: ClassVar[str]

    def parse(self, lines: Iterable[LogLine], files: Collection[str]) -> Sequence[Diagnostic]:
        """
        Diagnostics in the order of the log, the cause first where the tool says which. `files` are the version's paths: a
        diagnostic names a file only when it is one of them.
        """
        ...
