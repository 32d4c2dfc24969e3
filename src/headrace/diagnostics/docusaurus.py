"""Docusaurus: a page of MDX that can't be compiled, with the place that its compiler gives as JSON."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

_FAILED = re.compile(r'MDX compilation failed for file "(?P<file>[^"]{1,400})"')
_CAUSE = re.compile(r"^[\s│]*Cause: (?P<text>\S.*)")
_NUMBER = re.compile(r'^[\s│]*"(?P<what>line|column)": (?P<number>\d{1,6}),?$')
_MOST = 20


class Docusaurus:
    tool: ClassVar[str] = "docusaurus"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        heads = [(at, match) for at, line in enumerate(lines) if (match := _FAILED.search(line.text))]
        return [_found(lines, at, places.find(match["file"])) for at, match in heads[:_MOST]]


def _found(lines: Sequence[LogLine], at: int, file: str | None) -> Found:
    below = [line.text for line in lines[at + 1 : at + 30]]
    cause = next((match["text"] for text in below if (match := _CAUSE.match(text))), "MDX compilation failed")
    numbers: dict[str, int] = {}
    for text in below:
        if match := _NUMBER.match(text):
            # The first ones are of the message; its place has some of its own below them.
            numbers.setdefault(match["what"], int(match["number"]))
    return Found(
        reason=FailureReason.SYNTAX_ERROR,
        diagnostic=Diagnostic(
            tool="docusaurus",
            severity="error",
            message=cause,
            file=file,
            line=numbers.get("line") if file else None,
            column=numbers.get("column") if file and "line" in numbers else None,
            hint="in MDX `<` and `{` begin code: escape them, or name the file .md and set markdown.format to detect",
            log_seq=lines[at].seq,
        ),
    )
