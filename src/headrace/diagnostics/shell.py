"""The shell: a program that is not there, or may not be run."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.manifest_lines import manifest
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic, FailureReason

_NOT_FOUND = re.compile(
    r"^(?:/bin/)?(?:sh|bash|dash): (?:line )?(?:\d+: )?(?P<name>[\w@./+-]+): (?:command )?not found$"
)
_PACKAGES = {"tsc": "typescript", "ng": "@angular/cli", "nuxt": "nuxt", "vue-tsc": "vue-tsc"}
_MANAGERS = frozenset({"yarn", "bun", "bunx"})


class Shell:
    tool: ClassVar[str] = "sh"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        return [
            Found(
                reason=FailureReason.MISSING_DEPENDENCY,
                needle=match["name"],
                diagnostic=Diagnostic(
                    tool="sh",
                    severity="error",
                    message=f"the program {match['name']} is not there",
                    code="127",
                    file=manifest(places),
                    excerpt=line.text,
                    hint=_hint(match["name"]),
                    log_seq=line.seq,
                ),
            )
            for line in lines
            if (match := _NOT_FOUND.match(line.text))
        ][:1]


def _hint(name: str) -> str:
    if name in _MANAGERS:
        return f"the script calls {name}, which is not provided here: call the programs themselves, or use npm run"
    package = _PACKAGES.get(name, name)
    return f"add {package} to the dependencies in package.json, or correct the name of the program in the script"
