"""The contract of diagnostic parsers: lines of a log in, errors with file and line out."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason, LogLine
from headrace.model.value import Value

__all__ = ["Found", "LogLine", "Parser"]


class Found(Value):
    """One error that a parser found, and what it means for the build."""

    reason: FailureReason
    diagnostic: Diagnostic
    #: Text that stands where the mistake is. Finds the line when the tool names only the file.
    needle: str | None = None
    #: It only says that a command failed, which may have said itself why.
    consequence: bool = False
    #: Endings of files in which to look for `needle` when the tool names no file.
    endings: tuple[str, ...] = ()


class Parser(Protocol):
    """Finds one tool's errors. Never raises: a line that it does not understand is not its own."""

    tool: ClassVar[str]

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        """
        Errors in the order of the log, the cause first where the tool says which. `places` knows the version's paths: a
        diagnostic names a file only when it is one of them.
        """
        ...
