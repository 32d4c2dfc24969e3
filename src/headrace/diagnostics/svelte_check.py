"""svelte-check: a file with line and column, below it `Error: … (ts)` and a piece of source."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found
from headrace.model.diagnostic import FailureReason

_PLACE = re.compile(r"^(?P<file>\S[^:]*):(?P<line>\d+):(?P<column>\d+)$")
_TEXT = re.compile(r"^(?P<severity>Error|Warn): (?P<text>.*?)(?: \((?P<source>[\w-]+)\))?$")
_MACHINE = re.compile(r"^\d+ (?:ERROR|WARNING) \"(?P<file>[^\"]+)\" (?P<line>\d+):(?P<column>\d+) \"(?P<text>.*)\"$")
_END = re.compile(r"\((?P<source>ts|js|svelte|css|html|scss|postcss)\)\s*$")
_MOST = 40


class SvelteCheck:
    tool: ClassVar[str] = "svelte-check"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        # Others print such places as well; a run says what it is, or prints numbers first.
        if not any("svelte-check" in line.text or _MACHINE.match(line.text) for line in lines):
            return ()
        all_found: list[Found] = []
        for at, line in enumerate(lines):
            if len(all_found) >= _MOST:
                break
            if (machine := _MACHINE.match(line.text)) and " ERROR " in line.text:
                all_found.append(_found(machine, machine["text"], [], line, places))
            elif (place := _PLACE.match(line.text)) and at + 1 < len(lines):
                below = lines[at + 1 : at + 12]
                text = _TEXT.match(below[0].text)
                if text and text["severity"] == "Error":
                    all_found.append(_found(place, text["text"], below, lines[at + 1], places))
        return all_found


def _found(place: re.Match[str], text: str, below: Sequence[LogLine], line: LogLine, places: Places) -> Found:
    file = places.find(place["file"])
    rows: list[str] = []
    for row in below[1:]:
        if not row.text.strip():
            break
        rows.append(row.text)
    return found(
        "svelte-check",
        _END.sub("", text),
        places,
        line.seq,
        file=file,
        line=int(place["line"]),
        column=int(place["column"]),
        excerpt="\n".join(rows[:8]) or None,
        otherwise=FailureReason.TYPE_ERROR,
    )
