"""Errors as a driver's program reports them, as diagnostics. The program runs beside a tenant's code: nothing is trusted."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.diagnostics.ansi import plain
from headrace.diagnostics.fit import cut
from headrace.diagnostics.places import Places
from headrace.model.diagnostic import Diagnostic
from headrace.model.sandbox import WORKING_DIRECTORY
from headrace.preview.base import Outcome

_MOST = 10
_LARGEST_NUMBER = 10_000_000


def outcome_of(tool: str, message: Mapping[str, Any], places: Places) -> Outcome:
    """The outcome that an answer of the program means."""
    reported = message.get("errors")
    errors = [one for one in reported if isinstance(one, dict)] if isinstance(reported, list) else []
    diagnostics = _by_place([diagnostic_of(tool, one, places) for one in errors[:_MOST]])
    ok = message.get("ok") is True
    return Outcome(
        ok=ok,
        diagnostics=diagnostics,
        message="" if ok else _sentence(diagnostics),
        output_changed=message.get("unaffected") is not True,
        restart=message.get("restart") is True,
    )


def diagnostic_of(tool: str, error: Mapping[str, Any], places: Places) -> Diagnostic:
    text = _text(error, "message", 2000) or "unknown error"
    named = _text(error, "file", 4096)
    file = places.find(named) if named else None
    line = _number(error, "line") if file else None
    return Diagnostic(
        tool=tool,
        severity="error",
        message=text.replace(f"{WORKING_DIRECTORY}/", ""),
        code=_text(error, "code", 100) or _text(error, "plugin", 100),
        file=file,
        line=line,
        column=_number(error, "column") if line else None,
        excerpt=_text(error, "frame", 2000),
        hint=_text(error, "hint", 500),
    )


def _by_place(diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Of one file from its top down: a parser that lost its way reports the end of the file before what it stumbled over."""
    files = list(dict.fromkeys(one.file for one in diagnostics))
    return tuple(sorted(diagnostics, key=lambda one: (files.index(one.file), one.line or 0, one.column or 0)))


def _sentence(diagnostics: tuple[Diagnostic, ...]) -> str:
    if not diagnostics:
        return "it failed and did not say why"
    first = diagnostics[0]
    place = ":".join(str(part) for part in (first.file, first.line, first.column) if part is not None)
    more = f" (and {len(diagnostics) - 1} more)" if len(diagnostics) > 1 else ""
    return (f"{place}: " if place else "") + cut(first.message.split("\n")[0], 400) + more


def _text(error: Mapping[str, Any], name: str, most: int) -> str | None:
    value = error.get(name)
    return (
        cut("\n".join(plain(line) for line in value[: most * 4].split("\n")), most) if isinstance(value, str) else None
    )


def _number(error: Mapping[str, Any], name: str) -> int | None:
    value = error.get(name)
    return value if isinstance(value, int) and 0 < value < _LARGEST_NUMBER else None
