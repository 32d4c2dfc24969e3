"""Shows a build while it runs: a live region on a terminal, plain lines everywhere else. All of it on stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from pydantic import ValidationError

from headrace.cli.output import can_redraw, note
from headrace.model.event import EVENT, Event
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
