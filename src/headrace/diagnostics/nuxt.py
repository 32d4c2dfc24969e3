"""Nuxt 2: `[fatal] …`, and before it which package is there in a version that it can't work with."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.manifest_lines import manifest
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found
from headrace.model.diagnostic import Diagnostic, FailureReason

_FATAL = re.compile(r"^\[fatal\] (?P<text>\S.{0,500})")
_UNFIT = re.compile(
    r"^\[warn\] (?P<name>(?:@[\w.-]{1,100}/)?[\w.-]{1,100})@(?P<is>\S{1,50}) is installed but (?P<wish>\S{1,50}) is expected"
)
_NUXT = re.compile(r"Nuxt Fatal Error|node_modules/(?:@nuxt|nuxt)/")


class Nuxt:
    tool: ClassVar[str] = "nuxt"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        fatal = next(((line, match) for line in lines if (match := _FATAL.match(line.text))), None)
        if fatal is None or not any(_NUXT.search(line.text) for line in lines):
            return ()
        line, said = fatal
        if said["text"].startswith("Cannot import module"):
            unfit = next(((line.seq, match) for line in lines if (match := _UNFIT.match(line.text))), None)
            if unfit is not None:
                return [_unfit(*unfit, places)]
        return [found("nuxt", said["text"], places, line.seq)]


def _unfit(seq: int, match: re.Match[str], places: Places) -> Found:
    """What it could not import does not say why; its parts need the version that it warned of."""
    return Found(
        reason=FailureReason.PEER_CONFLICT,
        needle='"dependencies"',
        diagnostic=Diagnostic(
            tool="nuxt",
            severity="error",
            message=f"Nuxt works with {match['name']} {match['wish']}, and {match['name']}@{match['is']} is installed",
            file=manifest(places),
            hint=f'add "{match["name"]}": "{match["wish"]}" to devDependencies in package.json, and write the lock file anew',
            log_seq=seq,
        ),
    )
