"""The shell: a program that is not there, or may not be run."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.installing import missing_program_hint
from headrace.diagnostics.manifest_lines import manifest
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

_SHELL = r"^(?:/(?:usr/)?bin/)?(?:sh|bash|dash): (?:line )?(?:\d+: )?"
_NOT_FOUND = re.compile(
    _SHELL + r"(?P<name>[\w@./+-]+): (?:command )?not found$|^(?:bun: )?command not found: (?P<other>[\w@./+-]+)$"
)
_NOT_ALLOWED = re.compile(_SHELL + r"(?P<name>[\w@./+-]+): Permission denied$")


#: The small programs that scripts copy and move with.
_NO_FILE = re.compile(
    r"^(?:/(?:usr/)?bin/)?(?:cp|mv|cat|rm|ls|mkdir|sed|tar|ln): (?:cannot \w+ |can't \w+ )?(?:regular file )?['\"‘]?(?P<name>[\w@./+ -]+?)['\"’]?: No such file or directory$"  # noqa: RUF001
)


class Shell:
    tool: ClassVar[str] = "sh"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        for line in lines:
            if match := _NOT_FOUND.match(line.text):
                return [_missing(match["name"] or match["other"], line, places)]
            if match := _NO_FILE.match(line.text):
                return [_absent(match["name"], line, places)]
            if match := _NOT_ALLOWED.match(line.text):
                return [_forbidden(match["name"], line, places)]
        return ()


def _missing(name: str, line: LogLine, places: Places) -> Found:
    return Found(
        reason=FailureReason.MISSING_DEPENDENCY,
        needle=name,
        diagnostic=Diagnostic(
            tool="sh",
            severity="error",
            message=f"the program {name} is not there",
            code="127",
            file=manifest(places),
            excerpt=line.text,
            hint=missing_program_hint(name, places),
            log_seq=line.seq,
        ),
    )


def _absent(name: str, line: LogLine, places: Places) -> Found:
    return Found(
        reason=FailureReason.MISSING_DEPENDENCY,
        needle=name,
        diagnostic=Diagnostic(
            tool="sh",
            severity="error",
            message=f"{name} is not there ({line.text.strip()})",
            file=manifest(places),
            hint="is it committed, written in the same letters, and made by an earlier command?",
            log_seq=line.seq,
        ),
    )


def _forbidden(name: str, line: LogLine, places: Places) -> Found:
    return Found(
        reason=FailureReason.COMMAND_FAILED,
        diagnostic=Diagnostic(
            tool="sh",
            severity="error",
            message=f"{name} may not be run",
            code="126",
            file=places.find(name),
            excerpt=line.text,
            hint=f"make it executable and commit that: `git update-index --chmod=+x {name}`",
            log_seq=line.seq,
        ),
    )
