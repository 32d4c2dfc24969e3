"""ESLint's usual report: a file's name, below it lines of `3:7  error  …  rule`."""

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found
from headrace.model.diagnostic import Diagnostic, FailureReason

_FILE = re.compile(r"^(?P<file>[^\s:][^:]*\.\w{1,10})$")
_ROW = re.compile(
    r"^\s+(?P<line>\d+):(?P<column>\d+)\s+(?P<severity>error|warning)\s{1,200}(?P<text>\S.*?)(?:\s{2,200}(?P<rule>[@\w/-]+))?$"
)
_TOO_MANY = re.compile(r"^ESLint found too many warnings \(maximum: (?P<most>\d+)\)")
_CONFIG = re.compile(
    r"^Oops! Something went wrong! :\(|ESLint couldn't find (?:an eslint|a configuration|the)|^ESLint: \d"
)
_MOST = 60


class Eslint:
    tool: ClassVar[str] = "eslint"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        rows = list(_rows(lines, places))
        errors = [one for one in rows if one.diagnostic.severity == "error"]
        if errors:
            return errors[:_MOST]
        # Warnings end a run only where it was told so.
        if any(_TOO_MANY.match(line.text) for line in lines):
            hint = "the command allows fewer warnings (--max-warnings): correct them, or raise the number"
            return [one.but(diagnostic=one.diagnostic.but(hint=hint)) for one in rows[:_MOST]]
        return _broken(lines, places)


def _rows(lines: Sequence[LogLine], places: Places) -> Iterator[Found]:
    file: str | None = None
    seen = False
    for line in lines:
        if match := _FILE.match(line.text):
            seen, file = True, places.find(match["file"])
        elif not line.text.strip():
            seen = False
        elif seen and (row := _ROW.match(line.text)):
            parsing = row["text"].startswith("Parsing error")
            yield Found(
                reason=FailureReason.SYNTAX_ERROR if parsing else FailureReason.LINT_ERROR,
                diagnostic=Diagnostic(
                    tool="eslint",
                    severity="warning" if row["severity"] == "warning" else "error",
                    message=row["text"],
                    code=row["rule"],
                    file=file,
                    line=(int(row["line"]) or None) if file else None,
                    column=(int(row["column"]) or None) if file else None,
                    hint=None if parsing else "correct it, or set the rule to a warning in ESLint's configuration",
                    log_seq=line.seq,
                ),
            )


def _broken(lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
    """ESLint itself could not start."""
    at = next((at for at, line in enumerate(lines) if _CONFIG.match(line.text)), None)
    if at is None:
        return ()
    said = [
        line
        for line in lines[at : at + 20]
        if line.text.strip() and not re.match(r"^(?:Oops|ESLint: \d|\s+at )", line.text)
    ]
    text = said[0].text.strip() if said else "ESLint could not start"
    names = (
        "eslint.config.js",
        "eslint.config.mjs",
        "eslint.config.ts",
        "eslint.config.cjs",
        ".eslintrc.json",
        ".eslintrc.js",
        ".eslintrc.cjs",
    )
    file = next((path for name in names if (path := places.find(name))), None)
    return [
        found(
            "eslint",
            re.sub(r"^Error(?: \[\w+\])?: ", "", text),
            places,
            (said[0] if said else lines[at]).seq,
            file=file,
            otherwise=FailureReason.CONFIG_ERROR,
            hint="correct ESLint's configuration, and install the plugins that it names",
        )
    ]
