"""Shows a build while it runs: a live region on a terminal, plain lines everywhere else. All of it on stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from pydantic import ValidationError

from headrace.cli.output import can_redraw, note
from headrace.model.event import EVENT, BuildCompleted, Event
from headrace.model.text import as_text


class Progress(Protocol):
    def show(self, event: Event) -> None:
        """Take the next event of the build."""
        ...


class PlainProgress:
    """One line for each thing that happens, as it happens."""

    def show(self, event: Event) -> None:
        if (text := as_text(event)) is not None:
            note(text)


class OnlyNew:
    """
    Shows a build unless it had ended before `since` (UTC, as in events): then its log is history, and one line says so.
    A build that somebody else began is shown from its beginning.
    """

    def __init__(self, shown: Progress, since: str) -> None:
        self._shown = shown
        self._since = since
        self._held: list[Event] | None = []

    def show(self, event: Event) -> None:
        if self._held is None:
            self._shown.show(event)
            return
        self._held.append(event)
        if event.ts >= self._since:
            held, self._held = self._held, None
            for one in held:
                self._shown.show(one)
        elif isinstance(event, BuildCompleted):
            note(f"✓ The same inputs were built before: {event.build_id}")


@contextmanager
def progress() -> Iterator[Progress]:
    """What fits this terminal."""
    if not can_redraw(sys.stderr):
        yield PlainProgress()
        return
    from headrace.cli.live import LiveProgress

    with LiveProgress() as live:
        yield live


def event_of(line: bytes) -> Event | None:
    """The event on a line of a stream; None for a type that this version does not know."""
    try:
        return EVENT.validate_json(line)
    except ValidationError as exc:
        if exc.errors()[0]["type"] == "union_tag_invalid":
            return None
        raise
