"""Logs of several tasks at once: the name in front of each line is taken off, and the lines of a task stand together."""

import re
from collections.abc import Sequence

from headrace.diagnostics.base import LogLine

#: What shows that a runner of tasks wrote the log, and how it begins the lines of a task.
_RUNNERS = (
    # Turborepo: `@acme/ui:build: `, and `@acme/ui#build: ` for its own words.
    (re.compile(r"^\s*\N{BULLET} Packages in scope: "), re.compile(r"^(?P<task>@?[\w./-]{1,100}[:#][A-Za-z][\w:.-]{0,60}): ?")),
    # pnpm -r: `packages/ui build: `, and `packages/ui build$ ` for the command.
    (re.compile(r"^Scope: .{1,40}workspace projects"), re.compile(r"^(?P<task>[\w@./-]{1,200} [A-Za-z][\w:.-]{0,60})[:$] ?")),
    # yarn workspaces foreach: `[@acme/ui]: `.
    (re.compile(r"^(?:\N{BLACK RIGHTWARDS ARROWHEAD} YN0000: )?\[[^\]]{1,100}\]: Process started"),
     re.compile(r"^(?:\N{BLACK RIGHTWARDS ARROWHEAD} YN0000: )?\[(?P<task>[^\]]{1,100})\]: ?")),
)  # fmt: skip


def apart(lines: Sequence[LogLine]) -> Sequence[LogLine]:
    """The same lines, those of each task one after the other without its name; others stay in front."""
    runner = next((prefix for mark, prefix in _RUNNERS if any(mark.match(line.text) for line in lines)), None)
    if runner is None:
        return lines
    of_tasks: dict[str, list[LogLine]] = {"": []}
    for line in lines:
        match = runner.match(line.text)
        text = line.text[match.end() :] if match else line.text
        task = match["task"].replace("#", ":") if match else ""
        of_tasks.setdefault(task, []).append(line if not match else LogLine(seq=line.seq, text=text))
    return [line for group in of_tasks.values() for line in group]
