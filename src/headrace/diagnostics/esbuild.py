"""esbuild's `✘ [ERROR]` reports, of its own command and of what prints with it: Angular, tsup, wrangler."""

import re
from collections.abc import Sequence
from typing import ClassVar

from headrace.diagnostics import codeframe
from headrace.diagnostics.base import Found, LogLine
from headrace.diagnostics.places import Places
from headrace.diagnostics.report import found
from headrace.model.diagnostic import FailureReason

_HEAD = re.compile(r"^\s*(?:✘|X) \[(?:ERROR|error)\] (?P<text>.*)")
_OTHER = re.compile(r"^\s*(?:✘|X|▲|⚠) \[|^\s*\d+ (?:errors?|warnings?)")
_PLACE = re.compile(r"^\s+(?P<file>[^\s:][^:]*):(?P<line>\d+):(?P<column>\d+):?$")
_PLUGIN = re.compile(r" \[plugin (?P<name>[\w:@/-]+)\]\s*$")
_CODE = re.compile(r"^(?P<code>(?:TS|NG)-?\d+): (?P<text>.*)")
_UNREAD = re.compile(r"^(?:Cannot|Could not) read (?:file|from file|directory):? \"?(?P<path>[^\"]+)\"?")
_BUDGET = re.compile(r"exceeded maximum budget")
_MOST = 40


class Esbuild:
    tool: ClassVar[str] = "esbuild"

    def parse(self, lines: Sequence[LogLine], places: Places) -> Sequence[Found]:
        heads = [(at, match) for at, line in enumerate(lines) if (match := _HEAD.match(line.text))]
        return [_found(match["text"], lines, at, places) for at, match in heads[:_MOST]]


def _found(text: str, lines: Sequence[LogLine], at: int, places: Places) -> Found:
    below: list[LogLine] = []
    for line in lines[at + 1 : at + 24]:
        if _OTHER.match(line.text):
            break
        below.append(line)
    plugin = _PLUGIN.search(text)
    message = _PLUGIN.sub("", text)
    coded = _CODE.match(message)
    unread = _UNREAD.match(message)
    file, number, column = _place(below, places)
    project = places.find("angular.json")
    tool = "angular" if project or (plugin and "angular" in plugin["name"]) else "esbuild"
    if _BUDGET.search(message):
        hint = "make the bundle smaller, or raise the budget in angular.json"
        reason = FailureReason.CONFIG_ERROR
        one = found(tool, message, places, lines[at].seq, file=project, otherwise=reason, hint=hint)
        return one.but(needle='"budgets"')
    return found(
        tool,
        coded["text"] if coded else message,
        places,
        lines[at].seq,
        file=file,
        line=number,
        column=column,
        code=coded["code"] if coded else None,
        excerpt=codeframe.frame(below, 0),
        context=f'Could not resolve "/{unread["path"].lstrip("/")}"' if unread else message,
        otherwise=FailureReason.TYPE_ERROR
        if coded
        else FailureReason.SYNTAX_ERROR
        if file
        else FailureReason.COMMAND_FAILED,
    )


def _place(below: Sequence[LogLine], places: Places) -> tuple[str | None, int | None, int | None]:
    for line in below:
        if (match := _PLACE.match(line.text)) and (file := places.find(match["file"])):
            # Columns are counted from 0.
            return file, int(match["line"]), int(match["column"]) + 1
    return None, None, None
