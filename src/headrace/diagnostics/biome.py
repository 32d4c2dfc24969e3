"""Biome's check, lint and format: a head with place and rule, what is wrong below it."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

_HEAD = re.compile(
    r"^(?P<file>\S[^:\s]{0,400})(?::(?P<line>\d+):(?P<column>\d+))? (?P<rule>(?:lint|assist)/[\w/]+|parse|format|organizeImports)\b.*━{4}"
)
_ERROR = re.compile(r"^\s+[✖×] (?P<text>\S.*)")  # noqa: RUF001
_CODE = re.compile(r"^\s+(?:> )?\s*\d+ │ |^\s+│ +\^")
_LONGEST, _MOST = 30, 50


class Biome:
    tool: ClassVar[str] = "biome"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        heads = [(at, match) for at, line in enumerate(lines) if (match := _HEAD.match(line.text))][:_MOST]
        return [one for at, match in heads if (one := _read(match, lines, at, places))]


def _read(match: re.Match[str], lines: Sequence[LogLine], at: int, places: Places) -> Found | None:
    below = [line.text for line in lines[at + 1 : at + _LONGEST]]
    end = next((n for n, text in enumerate(below) if _HEAD.match(text)), len(below))
    error = next((said for text in below[:end] if (said := _ERROR.match(text))), None)
    file = places.find(match["file"])
    if error is None or file is None:
        return None
    formatted = match["rule"] in ("format", "organizeImports")
    return Found(
        reason=FailureReason.SYNTAX_ERROR if match["rule"] == "parse" else FailureReason.LINT_ERROR,
        diagnostic=Diagnostic(
            tool="biome",
            severity="error",
            message=error["text"],
            code=match["rule"],
            file=file,
            line=int(match["line"]) if match["line"] else None,
            column=int(match["column"]) if match["column"] else None,
            excerpt="\n".join([text for text in below[:end] if _CODE.match(text)][:8]) or None,
            hint=f"run `npx biome check --write {file}` and commit what it changes" if formatted else None,
            log_seq=lines[at].seq,
        ),
    )
