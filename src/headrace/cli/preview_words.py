"""What `headrace preview` and `headrace sync` say: lines for people, or one JSON object on a line for programs."""

import json
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from headrace.cli.output import note
from headrace.model.diagnostic import Diagnostic
from headrace.model.preview import (
    PREVIEW_EVENT,
    PagePosition,
    PreviewAsleep,
    PreviewConsole,
    PreviewEgressDenied,
    PreviewEgressLimit,
    PreviewEgressUnreachable,
    PreviewError,
    PreviewFailed,
    PreviewReady,
    PreviewRequestFailed,
    PreviewStarted,
    PreviewWarning,
)
from headrace.model.text import diagnostic_text, plain, seconds_text

#: Names of files on a line, and lines of a conflict, before the rest is a number.
_NAMES = 3
_HUNK_LINES = 12
_DIAGNOSTICS = 10

_ASLEEP = {
    "idle": "nobody looked for a while",
    "memory": "its memory was needed",
    "asked": "somebody asked for it",
    "died": "what built it died",
    "server": "the server stopped",
}


class Words:
    """Lines may come from several threads."""

    def __init__(self, *, as_json: bool, project: str = "PROJECT") -> None:
        self._as_json = as_json
        self._project = project
        self._lock = threading.Lock()

    def url(self, url: str, project: Any) -> None:
        """Where the page is: for people the only line on stdout."""
        if self._as_json:
            self.record("url", url=url, project_id=project["id"], project=project["slug"])
        else:
            with self._lock:
                click.echo(url)
                sys.stdout.flush()

    def sent(self, answer: Any, paths: Mapping[str, bool], took: float) -> None:
        """How a change came out. `paths`: what was sent, each with whether it was deleted."""
        if self._as_json:
            self.record("sync", **answer, took=round(took, 4))
            return
        changes = {change["path"]: change.get("change") for change in answer["changes"]}
        what = _names([(path, "deleted" if gone else changes.get(path)) for path, gone in paths.items()])
        merged = "  merged with what others changed" if answer.get("merged") else ""
        self._outcome(answer, what, took, merged)

    def state(self, state: Any, took: float) -> None:
        """How the preview stands, when nothing had to be sent."""
        if self._as_json:
            self.record("state", **state, took=round(took, 4))
        else:
            self._outcome(state, "nothing changed", took, "")

    def _outcome(self, answer: Any, what: str, took: float, rest: str) -> None:
        match answer["status"]:
            case "ready":
                self.say(f"{_green('✓')} {what}  {_green('ready')} in {seconds_text(took)}{rest}")
            case "error":
                self.say(f"{_red('✗')} {what}  {_red('failed')} after {seconds_text(took)}{rest}")
                self.diagnostics(answer.get("diagnostics") or (), _message(answer))
            case "no_changes":
                self.say(f"{_dim('·')} {what or 'nothing changed: all of it'}  is there already")
                self.diagnostics(answer.get("diagnostics") or (), "")
            case "asleep":
                self.say(f"{_dim('·')} {what}  stored; the preview sleeps and will show it")
            case _:
                self.say(f"{_dim('…')} {what}  stored; still building after {seconds_text(took)}")

    def diagnostics(self, found: Sequence[Any], message: str) -> None:
        for one in found[:_DIAGNOSTICS]:
            where, _, rest = diagnostic_text(Diagnostic.model_validate(one)).partition("\n")
            self.say(f"  {_bold(where)}" + ("\n" + "\n".join(f"  {line}" for line in rest.split("\n")) if rest else ""))
        if len(found) > _DIAGNOSTICS:
            self.say(f"  … and {len(found) - _DIAGNOSTICS} more")
        if message and not found:
            self.say("\n".join(f"  {plain(line)}" for line in message.splitlines()))

    def conflict(self, conflicts: Sequence[Any], version: str, directory: Path) -> None:
        """Somebody else changed the same lines. Nothing is lost: both are versions, or still in the directory."""
        if self._as_json:
            self.record("conflict", version=version, conflicts=conflicts)
            return
        for one in conflicts:
            self.say(
                f"{_red('✗')} {plain(one['path'])}  {_red('not sent')}: {_WHY.get(one['why'], 'somebody else changed it too')}"
            )
            for hunk in one["hunks"]:
                self.say(_hunk(hunk))
        names = " ".join(plain(one["path"]) for one in conflicts)
        self.say("  → bring the server's lines into your file and save it, or have yours win with")
        self.say(f"    headrace sync {self._project} --dir {directory} {names}")

    def ahead(self, paths: Sequence[str], version: str | None) -> None:
        if self._as_json:
            self.record("ahead", version=version, paths=list(paths))
            return
        what = _names([(path, None) for path in paths])
        self.say(f"{_yellow('!')} {what}  changed on the server by somebody else; your directory keeps what it has")

    def left_out(self, path: str, why: str) -> None:
        if self._as_json:
            self.record("left_out", path=path, why=why)
        else:
            self.say(f"{_yellow('!')} {plain(path)}  not sent: {plain(why)}")

    def remark(self, text: str, **facts: object) -> None:
        """Something about the server or the watching that ends nothing."""
        if self._as_json:
            self.record("note", text=text, **facts)
        else:
            self.say(f"{_yellow('!')} {text}")

    def event(self, line: bytes) -> None:
        """A fact of the preview's log."""
        try:
            event = PREVIEW_EVENT.validate_json(line)
        except ValidationError:
            return
        if self._as_json:
            with self._lock:
                sys.stdout.write(line.decode() + "\n")
                sys.stdout.flush()
            return
        if isinstance(event, PreviewFailed):
            self.say(f"{_red('✗')} {_red('failed')}: {event.version_id}")
            self.diagnostics([found.model_dump() for found in event.diagnostics], event.message)
        elif text := _event_text(event):
            self.say(text)

    def record(self, kind: str, **facts: object) -> None:
        with self._lock:
            sys.stdout.write(json.dumps({"type": kind, **facts}, ensure_ascii=False) + "\n")
            sys.stdout.flush()

    def say(self, text: str) -> None:
        with self._lock:
            note(text)


_WHY = {
    "lines": "somebody else changed the same lines",
    "both_added": "somebody else added it too",
    "deleted_here": "somebody else deleted it",
    "deleted_there": "you deleted it, somebody else changed it",
    "binary": "somebody else changed it too, and it is no text",
}


def _message(answer: Any) -> str:
    """Why it failed: a sync has the preview's state in it."""
    state = answer.get("preview") or answer
    return str(state.get("message") or "")


def _event_text(event: object) -> str | None:
    match event:
        case PreviewStarted():
            return _dim(f"· starting {plain(event.why or event.driver)}")
        case PreviewReady():
            return f"{_green('✓')} {_green('ready')}: {event.version_id}"
        case PreviewAsleep():
            return _dim(f"· asleep: {_ASLEEP.get(event.why, event.why)}") + (
                f"\n  {plain(event.message)}" if event.message else ""
            )
        case PreviewWarning():
            return f"{_yellow('!')} {plain(event.message)}"
        case PreviewEgressDenied():
            by = f" (package {plain(event.package)})" if event.package else ""
            return f"{_yellow('!')} connection to {plain(event.host)}:{event.port} refused{by}: {plain(event.why)}"
        case PreviewEgressUnreachable():
            return f"{_yellow('!')} {plain(event.host)}:{event.port} can't be reached: {plain(event.why)}"
        case PreviewEgressLimit():
            return f"{_yellow('!')} connections cut: {event.limit.replace('_', ' ')}, at most {event.most}"
        case PreviewConsole(level="warn" | "error"):
            return f"{_yellow('▸')} console.{event.level}: {_short(event.text)}{_at(event.at)}"
        case PreviewError():
            first = event.stack[0] if event.stack else None
            return f"{_red('▸')} uncaught: {_short(event.message)}{_at(first)}"
        case PreviewRequestFailed():
            status = event.status or "no answer"
            return f"{_yellow('▸')} {plain(event.method)} {_short(event.url)}: {status}"
        case _:
            return None


def _at(place: PagePosition | None) -> str:
    if place is None:
        return ""
    where = ":".join(str(part) for part in (plain(place.file), place.line, place.column) if part is not None)
    return f"  {_dim(where)}"


def _hunk(hunk: Any) -> str:
    lines = [f"  line {hunk['line']}:"]
    for sign, side, style in (("server", "ours", _red), ("yours", "theirs", _green)):
        shown = [plain(line) for line in hunk[side][:_HUNK_LINES]]
        lines += [style(f"    {sign:<6} │ {line}") for line in shown or ["(nothing)"]]
    left = hunk["omitted"] + sum(max(0, len(hunk[side]) - _HUNK_LINES) for side in ("ours", "theirs"))
    return "\n".join([*lines, f"    … {left} more lines"] if left else lines)


def _names(changes: Sequence[tuple[str, str | None]]) -> str:
    signs = {"added": "+", "deleted": "-"}
    shown = [signs.get(change or "", "") + plain(path) for path, change in changes[:_NAMES]]
    if len(changes) <= _NAMES:
        return ", ".join(shown)
    return f"{len(changes)} files ({', '.join(shown)}, …)"


def _short(text: str) -> str:
    line = " ".join(plain(text).split())
    return line if len(line) <= 300 else line[:299] + "…"


def _red(text: str) -> str:
    return click.style(text, fg="red")


def _green(text: str) -> str:
    return click.style(text, fg="green")


def _yellow(text: str) -> str:
    return click.style(text, fg="yellow")


def _dim(text: str) -> str:
    return click.style(text, dim=True)


def _bold(text: str) -> str:
    return click.style(text, bold=True)
