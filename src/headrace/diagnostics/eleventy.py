"""Eleventy: `[11ty]` before numbered sentences, what it was doing first and the cause last, then a stack trace."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.imports import unresolved
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import meaning
from headrace.model.diagnostic import Diagnostic, FailureReason

_OWN = "[11ty] "
_BEGIN = re.compile(r"^\[11ty\] (?:Eleventy Fatal Error|Problem writing Eleventy templates)")
_ITEM = re.compile(r"^(?P<number>\d)\. (?P<text>.*)")
_END = "Original error stack trace:"
_VIA = re.compile(r" \(via (?!`)[^()]{1,80}\)$")
_DOING = re.compile(
    r"(?:template|data file|config file|for the) ['\"]?(?P<file>(?:\./)?[\w@./ +\[\]-]{1,300}?\.\w{1,10})['\"]?(?=\s|\.\s|\.?$)"
)
_WHERE = re.compile(
    r"\[Line (?P<a>\d+), Column (?P<b>\d+)\]|\(line (?P<c>\d+) column (?P<d>\d+)\)|\((?P<e>\d+):(?P<f>\d+)\)$"
)
_ABSENT = re.compile(
    r"template not found: (?P<template>\S+)|layout that does not exist: \S+ \(via `layout: (?P<layout>[^`]+)`\)"
)
_UNKNOWN = re.compile(
    r"(?:filter|shortcode|tag) not found: (?P<a>\w+)|undefined filter: (?P<b>\w+)|unknown block tag: (?P<c>\w+)"
)
_MODULE = re.compile(r"Cannot find (?:module|package) '(?P<module>[^']+)'")
_ROW = re.compile(r"^\s+(?P<line>\d+) \| (?P<text>.*)")
_FRAME = re.compile(r"\((?:file://)?(?P<file>/[^():]+):(?P<line>\d+):(?P<column>\d+)\)$")
_LONGEST = 40

_Place = tuple[int | None, int | None]


class Eleventy:
    tool: ClassVar[str] = "eleventy"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        start = next((at for at, line in enumerate(lines) if _BEGIN.match(line.text)), None)
        if start is None:
            return ()
        block = [line for line in lines[start + 1 : start + _LONGEST] if line.text.startswith("[11ty]")]
        texts = [line.text.removeprefix(_OWN) for line in block]
        end = next((n for n, text in enumerate(texts) if text.startswith(_END)), len(texts))
        items = [n for n in range(end) if _ITEM.match(texts[n])]
        return [_read(block, texts, items, end, places)] if items else ()


def _read(block: Sequence[LogLine], texts: list[str], items: list[int], end: int, places: Places) -> Found:
    doing = texts[items[0]]
    named = _DOING.search(doing)
    file = places.find(named["file"]) if named else None
    message = _message(texts[items[-1] : end])
    reason, hint, needle = _meaning(message, "\n".join(texts[:end]), doing, file, places)
    line, column = _place(texts, end, message, file, places)
    return Found(
        reason=reason,
        needle=needle,
        diagnostic=Diagnostic(
            tool="eleventy",
            severity="error",
            message=message,
            file=file,
            line=line if file else None,
            column=column if file else None,
            hint=hint,
            log_seq=block[items[-1]].seq,
        ),
    )


def _message(said: Sequence[str]) -> str:
    """The last sentence; a template engine puts the file on a line of its own before it."""
    best = (_ITEM.match(said[0]) or {"text": said[0]})["text"]
    if best.startswith("(") and len(said) > 1:
        best = said[1].strip()
    return _VIA.sub("", best).removeprefix("Error: ").strip() or "Eleventy failed"


def _meaning(
    message: str, text: str, doing: str, file: str | None, places: Places
) -> tuple[FailureReason, str | None, str | None]:
    if absent := _ABSENT.search(text):
        name = absent["template"] or absent["layout"]
        return (
            FailureReason.MISSING_DEPENDENCY,
            f"there is no {name} among the includes: correct the name, or add it",
            name,
        )
    if module := _MODULE.search(text):
        return *unresolved(module["module"], file, places), module["module"]
    if unknown := _UNKNOWN.search(text):
        name = next(part for part in unknown.groups() if part)
        return FailureReason.SYNTAX_ERROR, f"correct {name}, or add it in Eleventy's configuration", name
    if "front matter" in doing or "data file" in doing:
        return FailureReason.SYNTAX_ERROR, None, None
    otherwise = FailureReason.CONFIG_ERROR if "config file" in doing else FailureReason.PRERENDER_FAILED
    reason, hint, needle, _ = meaning(message, file, places, otherwise)
    return reason, hint, needle


def _place(texts: list[str], end: int, message: str, file: str | None, places: Places) -> _Place:
    if "quoted scalar" in message:
        # YAML notices at the end of the front matter that a quotation mark of an earlier line is alone.
        rows = [row for text in texts[:end] if (row := _ROW.match(text))]
        alone = next((row for row in rows if row["text"].count('"') % 2 or row["text"].count("'") % 2), None)
        if alone:
            return int(alone["line"]), None
    for text in texts[:end]:
        if where := _WHERE.search(_VIA.sub("", text)):
            line, column = [int(number) for number in where.groups() if number]
            return line, column
    for text in texts[end:]:
        if (frame := _FRAME.search(text)) and places.find(frame["file"]) == file:
            return int(frame["line"]), int(frame["column"])
    return None, None
